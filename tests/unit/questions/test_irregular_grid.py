"""The layout of the study leakfree78: a complete factorial of 48 runs and 30 runs of three more methods beside it.

linear_probe has one learning rate and an encoder that does not move; the other two have two learning rates.
"""

import dataclasses

import numpy as np
import polars as pl
import pytest
from simulated_study import Study, simulated_study

import heatdrift
from heatdrift.questions.correlation.findings import REVERSAL_CELLS

SEEDS = (7, 11, 19)
EXTRA = (("linear_probe", (1e-3,)), ("last_block", (1e-5, 1e-4)), ("lora_r8_frozen_proj", (1e-5, 1e-4)))
STILL = {"delta_entropy_pct": 0.0, "delta_erf95_pct": 0.0, "weight_drift": 0.0}


def leakfree78() -> Study:
    parts = [simulated_study(lrs=(3e-6, 1e-5, 3e-5, 1e-4), seeds=SEEDS, rng_seed=1)]
    parts += [
        simulated_study(methods=(method,), lrs=lrs, seeds=SEEDS, rng_seed=2 + i)
        for i, (method, lrs) in enumerate(EXTRA)
    ]
    frames = {}
    for field in dataclasses.fields(Study):
        found = []
        for i, part in enumerate(parts):
            frame = getattr(part, field.name)
            if EXTRA[i - 1][0] == "linear_probe" and i and field.name in ("runs", "epochs"):
                frame = frame.with_columns(**{name: pl.lit(value) for name, value in STILL.items()})
            if EXTRA[i - 1][0] == "linear_probe" and i and field.name == "runs":
                frame = frame.with_columns(retention_pct=pl.lit(100.0), cka=pl.lit(1.0))
            found.append(frame.with_columns(cell_id=pl.concat_str(pl.lit(f"p{i}-"), "cell_id")))
        frames[field.name] = pl.concat(found, how="vertical_relaxed")
    return Study(**frames)


@pytest.fixture(scope="module")
def study():
    return leakfree78()


def test_the_model_and_the_layers_take_the_factorial_and_name_the_rest(study):
    assert study.runs.height == 78
    for result in (
        heatdrift.interaction(study.runs, metric="retention_pct"),
        heatdrift.layers(study.runs, study.layers, study.heads, metrics=["entropy"]),
    ):
        assert (result.n_runs, result.n_dropped) == (48, 30)
        assert "30 runs outside the largest complete block of 4 learning rates x 2 methods" in result.left_out[0]
        assert all(method in result.left_out[0] for method, _ in EXTRA)


def test_a_lost_run_does_not_turn_the_question_round(study):
    lost = (pl.col("method") == "lora_r8") & (pl.col("lr") == 3e-5) & (pl.col("seed") == 7)
    result = heatdrift.interaction(study.runs.filter(~lost), metric="retention_pct")
    assert result.selection["method"] == ("full_ft", "lora_r8")
    assert result.n_runs == 46
    assert not result.balanced


def test_pairs_power_and_dose_name_the_runs_they_cannot_use(study):
    for result in (
        heatdrift.paired(study.runs, metrics=["retention_pct"]),
        heatdrift.power(study.runs, metric="retention_pct", seeds=5),
    ):
        assert (result.n_runs, result.n_dropped) == (48, 30)
        assert "30 runs of other methods (last_block, linear_probe, lora_r8_frozen_proj)" in result.left_out
    dose = heatdrift.dose(study.runs, metrics=["retention_pct"])
    assert (dose.n_runs, dose.n_dropped) == (72, 6)
    assert "3 runs of pets/linear_probe: one learning rate only" in dose.left_out
    two = heatdrift.paired(study.runs, metrics=["retention_pct"], method_a="last_block")
    assert two.rows[-1].n == 2 * 2 * len(SEEDS)


def test_correlation_keeps_all_cells_and_no_group_of_one_or_two_can_reverse_it(study):
    result = heatdrift.correlation(study.runs, x="delta_erf95_pct", y="retention_pct", bootstrap=100)
    assert result.n_runs == 78
    probe = result.by_group["eurosat/linear_probe"]
    assert (probe.n, probe.n_cells) == (3, 1)
    assert np.isnan(probe.pearson)
    assert any("Linear probe: the image encoder stays as it was" in text for text in result.caveats)
    # turn the relation round in a group of two cells only: over runs its r is large and has the other sign
    place = (pl.col("dataset") == "pets") & (pl.col("method") == "last_block")
    turned = study.runs.with_columns(
        delta_erf95_pct=pl.when(place).then(-0.1 * (pl.col("retention_pct") - 90.0)).otherwise("delta_erf95_pct")
    )
    result = heatdrift.correlation(turned, x="delta_erf95_pct", y="retention_pct", bootstrap=100)
    group = result.by_group["pets/last_block"]
    assert group.n_cells < REVERSAL_CELLS
    assert group.pearson == pytest.approx(-1.0)
    assert result.pooled.pearson > 0.1
    assert not result.sign_reversal


def test_predictors_average_within_groups_that_have_two_learning_rates(study):
    result = heatdrift.predictors(study.runs, study.epochs, bootstrap=100)
    (row,) = (r for r in result.rows if r.signal == "train_loss" and r.when == "final")
    assert row.n == 78
    noisy = study.runs.with_columns(  # seeds of the one-cell groups go together perfectly: no evidence about cells
        retention_pct=pl.when(pl.col("method") == "linear_probe").then(pl.col("train_loss")).otherwise("retention_pct")
    )
    (again,) = (
        r
        for r in heatdrift.predictors(noisy, study.epochs, bootstrap=100).rows
        if r.signal == "train_loss" and r.when == "final"
    )
    assert again.rho_within_group == pytest.approx(row.rho_within_group)
    assert any(text.startswith("Linear probe") for text in result.caveats)


def test_the_frontier_holds_all_cells_and_compares_where_curves_meet(study):
    result = heatdrift.frontier(study.runs, bootstrap=100)
    assert len(result.cells) == 26
    notes = {(r.dataset, r.method_a, r.matched_on): r.note for r in result.matched}
    assert notes["pets", "linear_probe", "weight_drift"] == "no seed has weight_drift with both methods"
    point = [r for r in result.matched if r.method_a == "linear_probe" and r.matched_on == "test_acc_pct"]
    assert all(np.isnan(r.difference) or r.overlap_low == r.overlap_high for r in point)
