"""What no order, unit or origin may change."""

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatdrift.questions.correlation.analysis import correlation
from heatdrift.questions.interaction.analysis import interaction

X, Y = "delta_entropy_pct", "retention_pct"


def grid(rng_seed: int, *, missing: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(rng_seed)
    rows = [
        {"study": "s", "dataset": d, "method": m, "lr": lr, "seed": s, "status": "done"}
        for d in ("a", "b")
        for m in ("full_ft", "lora_r8")
        for lr in (1e-6, 1e-5, 1e-4)
        for s in (7, 11, 19, 42)
    ]
    n = len(rows)
    frame = pl.DataFrame(rows).with_columns(pl.Series(X, rng.normal(size=n)), pl.Series(Y, rng.normal(size=n)))
    seed = frame["seed"].to_numpy()
    frame = frame.with_columns(
        pl.Series(X, frame[X].to_numpy() + rng.normal(size=50)[seed % 50] + frame["lr"].log10().to_numpy())
    )
    return frame[np.sort(rng.permutation(n)[: n - missing])]


def close(a: object, b: object) -> None:
    """Two results agree in every number to 1e-6 relative and in everything else exactly."""
    if isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys()
        for key in a:
            close(a[key], b[key])
    elif isinstance(a, list) and isinstance(b, list):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            close(left, right)
    elif isinstance(a, float) or isinstance(b, float):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-9)
    else:
        assert a == b


def plain(result: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(result))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 6]))
def test_row_order_changes_nothing(seed, missing):
    runs = grid(seed, missing=missing)
    shuffled = runs.sample(fraction=1.0, shuffle=True, seed=seed)
    assert plain(interaction(runs, metric=X)) == plain(interaction(shuffled, metric=X))
    assert plain(correlation(runs, x=X, y=Y, bootstrap=30)) == plain(correlation(shuffled, x=X, y=Y, bootstrap=30))


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(0.01, 1000.0),
    st.floats(-100.0, 100.0),
    st.sampled_from(["factor", "linear"]),
    st.sampled_from(["seed", "seed + seed:method"]),
)
def test_unit_and_origin_scale_estimates_and_leave_tests_alone(seed, scale, shift, lr_as, random):
    runs = grid(seed, missing=4)
    base = interaction(runs, metric=X, lr_as=lr_as, random=random)
    other = interaction(runs.with_columns(pl.col(X) * scale + shift), metric=X, lr_as=lr_as, random=random)
    for a, b in zip(base.tests, other.tests, strict=True):
        assert b.p == pytest.approx(a.p, rel=1e-4)
        assert b.f == pytest.approx(a.f, rel=1e-5, abs=1e-7)
    for a, b in zip(base.random, other.random, strict=True):
        assert b.variance == pytest.approx(scale**2 * a.variance, rel=1e-5, abs=1e-6 * scale**2)
    for a, b in zip(base.contrasts, other.contrasts, strict=True):
        assert b.estimate == pytest.approx(scale * a.estimate, rel=1e-5, abs=1e-7 * scale)
        assert b.se == pytest.approx(scale * a.se, rel=1e-5)
    assert (base.r2_marginal, base.icc) == pytest.approx((other.r2_marginal, other.icc), rel=1e-4, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100.0), st.floats(-50.0, 50.0))
def test_correlation_ignores_unit_and_origin_and_follows_the_sign(seed, scale, shift):
    runs = grid(seed)
    base = correlation(runs, x=X, y=Y, bootstrap=40)
    same = correlation(runs.with_columns(pl.col(X) * scale + shift), x=X, y=Y, bootstrap=40)
    turned = correlation(runs.with_columns(-pl.col(X)), x=X, y=Y, bootstrap=40)
    swapped = correlation(runs, x=Y, y=X, bootstrap=40)
    for name in ("pooled", "rmcorr", "partial"):
        a, b, c, d = (getattr(r, name) for r in (base, same, turned, swapped))
        close(plain(a), plain(b))
        assert c.pearson == pytest.approx(-a.pearson, abs=1e-10)
        assert (c.ci_low, c.ci_high) == pytest.approx((-a.ci_high, -a.ci_low), abs=1e-9)
        assert d.pearson == pytest.approx(a.pearson, abs=1e-10)
        for r in (a, b, c, d):
            assert -1 <= r.pearson <= 1
            assert 0 < r.p_permutation <= 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_seed_names_and_method_names_are_labels(seed):
    runs = grid(seed, missing=3)
    renamed = runs.with_columns(pl.col("seed") * 10 + 3)
    a, b = interaction(runs, metric=X), interaction(renamed, metric=X)
    close(plain(a.tests), plain(b.tests))
    swapped = runs.with_columns(pl.col("method").replace({"full_ft": "lora_r8", "lora_r8": "full_ft"}))
    c = interaction(swapped, metric=X)
    close(plain(a.tests), plain(c.tests))
    assert [r.estimate for r in c.method_effects] == pytest.approx([-r.estimate for r in a.method_effects])
