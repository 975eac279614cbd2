"""The simulations test what the commands print, and docs/calibration_commands.md holds what the simulations find."""

import re
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

import calibrate
from calibrate import measured
from calibrate_commands import FAMILIES, GRID, LIMIT, PAGE, RESTS_ON, is_null, short
from command_sizes import cell_table, correlation_tests, dose_p, layers_p, paired_p
from conditions import CONDITIONS, DATASET, DESIGN, LR, LRS, METHOD, patterns

import heatdrift
from heatdrift.stats.cell_correlation import seed_level_p

FEWER = {"paired_sizes": 2_000, "dose_sizes": 400, "layers_sizes": 2_000, "layers_family_sizes": 200}
FEWER |= {"matched_sizes": 400, "correlation_sizes": 100, "predictor_sizes": 100}
BOUND = 4.5  # standard errors: some thousand comparisons


def study(condition):
    """One simulated study as the commands get it, with its model and its two metrics."""
    model, y = next(patterns(condition, 200, np.random.default_rng(1)))
    factors = zip(DATASET[model.cells], METHOD[model.cells], LR[model.cells], model.seeds, strict=True)
    fixed = {"study": "s", "protocol": "p", "backbone": "b", "status": "done", "transfer_set": "t", "selected_epoch": 1}
    rows = [
        fixed
        | {"cell_id": f"c{i}", "dataset": "ab"[d], "method": ("full_ft", "lora_r8")[m], "lr": LRS[r], "seed": int(s)}
        | {"delta_entropy_pct": float(y[0, i]), "retention_pct": float(y[1, i])}
        for i, (d, m, r, s) in enumerate(factors)
    ]
    return pl.DataFrame(rows), model, y[:2]


@pytest.fixture(params=[CONDITIONS[2], CONDITIONS[5]], ids=lambda c: c.label)
def simulated(request):
    return study(request.param)


def test_paired_is_the_command(simulated):
    runs, model, y = simulated
    rows = heatdrift.paired(runs, metrics=["delta_entropy_pct"]).rows
    for row, dataset in ((rows[0], 0), (rows[-1], None)):
        p = paired_p(model, y[:1], dataset)
        assert (row.t_p, row.wilcoxon_p, row.seed_p) == pytest.approx((p["t_p"][0], p["wilcoxon_p"][0], p["seed_p"][0]))


def test_dose_is_the_command(simulated):
    runs, model, y = simulated
    row = heatdrift.dose(runs, metrics=["delta_entropy_pct"]).rows[0]
    p = dose_p(model, y[:1])
    assert (row.dataset, row.method) == ("a", "full_ft")
    assert (row.p, row.p_exact) == pytest.approx((p["p"][0], p["p_exact"][0]))
    assert (p["slope"][0] < 0.05) == (row.ci_low > 0 or row.ci_high < 0)


def test_layers_is_the_command(simulated):
    runs, model, y = simulated
    blocks = runs.select("cell_id", delta_pct="delta_entropy_pct").with_columns(
        epoch=1, layer=0, metric=pl.lit("entropy"), value=1.0, base=1.0
    )
    rows = heatdrift.layers(runs, blocks).rows
    p = layers_p(model, y[:1])
    assert [row.test for row in rows] == ["method"] + 4 * ["drift"]
    assert [row.p for row in rows] == pytest.approx([found[0] for found in p.values()])


def test_correlation_is_the_command(simulated):
    runs, model, (x, y) = simulated
    result = heatdrift.correlation(runs, x="delta_entropy_pct", y="retention_pct", bootstrap=499)
    table = cell_table(model, x, y)
    found = correlation_tests(table, np.random.default_rng(0))
    one = result.by_group["a/full_ft"]
    assert one.p_permutation == pytest.approx(found["within one group"][0])  # both enumerate
    for name, row in (
        ("pooled", result.pooled),
        ("repeated measures", result.rmcorr),
        ("partial given lr", result.partial),
    ):
        p = row.p_permutation
        assert found[name][0] == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / 201) + 1 / 201)


def test_a_finding_needs_seeds_that_agree():
    """The same r over runs, once in every seed and once from one cell of one seed."""
    runs, model, (x, y) = study(CONDITIONS[0])
    shared = x + 0.5 * LR[model.cells]
    linked = runs.with_columns(delta_entropy_pct=pl.Series(shared), retention_pct=pl.Series(shared + 0.1 * y))
    assert "seed-level p" in heatdrift.correlation(linked, x="delta_entropy_pct", y="retention_pct").findings[0]
    assert seed_level_p(cell_table(model, shared, shared + 0.1 * y), np.zeros(16, dtype=np.intp)) < 0.001
    one_seed = linked.filter(pl.col("seed") == 0)
    result = heatdrift.correlation(one_seed, x="delta_entropy_pct", y="retention_pct")
    assert result.pooled.p_permutation < 0.05
    assert result.findings == ()


def test_a_perfect_correlation_within_each_seed_is_a_finding_and_none_is_no_number():
    _, model, (x, y) = study(CONDITIONS[0])
    parts = np.zeros(DESIGN.grid.shape[0], dtype=np.intp)
    assert seed_level_p(cell_table(model, x, 3.0 * x), parts) == 0.0
    assert np.isnan(seed_level_p(cell_table(model, x, np.ones_like(y)), parts))
    by_seed = np.arange(3.0)[model.seeds]
    assert np.isnan(seed_level_p(cell_table(model, by_seed, y), parts))


def printed() -> dict[tuple[str, str], dict[str, float]]:
    """Sizes on the page: (test, of) -> column head -> percent; the table without seed variance is left out."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    heads: list[str] = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| test |"):
            heads = cells[2:]
        elif line.startswith("| ") and "seed SD 0" not in heads[0]:
            values = {h: float(c.strip("*")) for h, c in zip(heads, cells[2:], strict=True) if c}
            found[cells[0], cells[1]] = values
    return found


def test_the_page_covers_every_condition_and_flags_what_it_says():
    found = printed()
    assert len(found) > 40
    assert all(set(values) == {short(c) for c in GRID} for values in found.values())
    for bold, value in re.findall(r"\| (\*\*)?(\d+\.\d)(?:\*\*)?(?= \|)", PAGE.read_text()):
        assert bool(bold) == (float(value) > 7.0) or value == "7.0"


def test_no_finding_rests_on_a_test_beyond_the_limit():
    rested = {key: values for key, values in printed().items() if key[0].startswith(RESTS_ON) and is_null(key)}
    commands = {"paired", "dose", "layers", "frontier", "correlation", "predictors"}
    assert {key[0].split(":")[0] for key in rested} == commands
    worst = {key: max(values.values()) for key, values in rested.items()}
    assert max(worst.values()) <= LIMIT, worst
    assert PAGE.read_text().count("No test that a finding sentence rests on rejects more than") == 1


@pytest.mark.slow
@pytest.mark.parametrize("condition", [GRID[2], GRID[5], GRID[-4]], ids=lambda c: c.label)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_the_printed_sizes_are_found_again(condition, family):
    """On other random numbers and fewer draws, within Monte Carlo error of both."""
    printed_draws, rows = FAMILIES[family]
    draws = FEWER[family.__name__]
    page = printed()
    with mock.patch.object(calibrate, "SEED", 1):
        sizes = measured(condition, [family], draws * rows)
    assert sizes
    for key, value in sizes.items():
        before = page[key][short(condition)]
        share = min(max((before * printed_draws + value * draws) / (printed_draws + draws) / 100.0, 0.002), 0.998)
        error = 100.0 * np.sqrt(share * (1.0 - share) * (1.0 / draws + 1.0 / printed_draws))
        assert abs(value - before) <= BOUND * error + 0.05, (key, value, before)
