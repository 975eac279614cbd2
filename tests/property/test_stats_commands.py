"""What no order of rows and no unit of the metric may change in the stats commands."""

import msgspec
import polars as pl
import pytest
from simulated_study import simulated_study

import heatdrift

STUDY = simulated_study()
COMMANDS = {
    "dose": lambda s: heatdrift.dose(s.runs),
    "paired": lambda s: heatdrift.paired(s.runs),
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


def test_swapping_the_methods_swaps_the_sign():
    one = heatdrift.paired(STUDY.runs, metrics=["retention_pct"]).rows
    other = heatdrift.paired(STUDY.runs, metrics=["retention_pct"], method_a="full_ft", method_b="lora_r8").rows
    for a, b in zip(one, other, strict=True):
        assert (b.difference, b.seed_t, b.seed_p) == (
            pytest.approx(-a.difference),
            pytest.approx(-a.seed_t),
            pytest.approx(a.seed_p),
        )
