"""What no order of rows and no unit of the metric may change in the stats commands."""

import msgspec
import polars as pl
import pytest
from simulated_study import simulated_study

import heatdrift

STUDY = simulated_study()


def apart(runs):
    """LoRA with seeds of its own."""
    return runs.with_columns(pl.col("seed") + pl.when(pl.col("method") == "lora_r8").then(100).otherwise(0))


def alone(runs):
    """Every run with a seed of its own, whatever the order of rows."""
    return runs.with_columns(pl.col("cell_id").str.tail(4).cast(pl.Int64).alias("seed"))


COMMANDS = {
    "dose": lambda s: heatdrift.dose(s.runs),
    "paired": lambda s: heatdrift.paired(s.runs),
    "paired, seeds apart": lambda s: heatdrift.paired(
        apart(s.runs), metrics=["retention_pct"], equivalence=(-2.0, 2.0)
    ),
    "paired, a seed for each run": lambda s: heatdrift.paired(alone(s.runs), metrics=["retention_pct"]),
    "retention": lambda s: heatdrift.retention(s.runs, margin=5.0),
    "layers": lambda s: heatdrift.layers(s.runs, s.layers, s.heads),
    "predictors": lambda s: heatdrift.predictors(s.runs, s.epochs, bootstrap=100),
    "frontier": lambda s: heatdrift.frontier(s.runs, bootstrap=100),
    "power": lambda s: heatdrift.power(s.runs, metric="retention_pct", seeds=4),
}


def close(a, b):
    """Equal to rounding: sums run in another order."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            close(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            close(left, right)
    elif isinstance(a, float):
        assert b == pytest.approx(a, rel=1e-7, abs=1e-9)
    else:
        assert a == b


def plain(result):
    return msgspec.json.decode(msgspec.json.encode(result))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_rows_changes_nothing(name, seed):
    frames = {
        field: getattr(STUDY, field).sample(fraction=1.0, shuffle=True, seed=seed)
        for field in ("runs", "epochs", "layers", "heads")
    }
    close(plain(COMMANDS[name](STUDY)), plain(COMMANDS[name](type(STUDY)(**frames))))


def test_the_unit_of_a_metric_moves_effects_and_no_test():
    scaled = STUDY.runs.with_columns(pl.col("retention_pct") * 1000.0 + 7.0)
    one, other = (heatdrift.paired(r, metrics=["retention_pct"]).rows for r in (STUDY.runs, scaled))
    for a, b in zip(one, other, strict=True):
        assert b.difference == pytest.approx(1000 * a.difference)
        assert (b.t, b.seed_t, b.wilcoxon_p) == (
            pytest.approx(a.t),
            pytest.approx(a.seed_t),
            pytest.approx(a.wilcoxon_p),
        )
    one, other = (heatdrift.dose(r, metrics=["retention_pct"]).rows for r in (STUDY.runs, scaled))
    for a, b in zip(one, other, strict=True):
        assert (b.rho, b.p_exact) == (pytest.approx(a.rho), a.p_exact)
        assert b.slope == pytest.approx(1000 * a.slope)


@pytest.mark.parametrize("layout", [pl.DataFrame.clone, apart, alone], ids=["shared", "apart", "alone"])
def test_swapping_the_methods_swaps_the_sign_and_the_sides_of_a_margin(layout):
    runs, margin = layout(STUDY.runs), (-2.0, 3.0)
    one = heatdrift.paired(runs, metrics=["retention_pct"], equivalence=margin)
    swapped = {"method_a": "full_ft", "method_b": "lora_r8", "equivalence": (-3.0, 2.0)}
    other = heatdrift.paired(runs, metrics=["retention_pct"], **swapped)
    for a, b in zip(one.margins, other.margins, strict=True):
        assert (b.p_low, b.p_high, b.p) == pytest.approx((a.p_high, a.p_low, a.p))
    for a, b in zip(one.rows, other.rows, strict=True):
        assert (b.seed_difference, b.seed_t, b.seed_p) == (
            pytest.approx(-a.seed_difference),
            pytest.approx(-a.seed_t),
            pytest.approx(a.seed_p),
        )
