import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import simulated_study

from heatdrift.errors import StatsError
from heatdrift.questions.predictors.analysis import predictors
from heatdrift.questions.predictors.signals import SIGNALS, signal_title
from heatdrift.stats.rank_scores import cell_scores
from heatdrift.wording import learning_rate, method_title, p_text

CELL = ["dataset", "method", "lr"]


@pytest.fixture(scope="module")
def study():
    return simulated_study()


@pytest.fixture(scope="module")
def result(study):
    return predictors(study.runs, study.epochs, bootstrap=200)


def test_the_signals_are_those_of_the_design():
    drifts = ("entropy", "entropy_last", "erf95", "gini", "head_diversity", "rollout_entropy", "patch_entropy")
    expected = {f"delta_{d}_pct" for d in drifts} | {f"abs_delta_{d}_pct" for d in drifts}
    expected |= {"cka", "cka_last", "cka_debiased", "embedding_drift", "weight_drift", "train_loss", "map_js"}
    assert {s.name for s in SIGNALS if not s.reference} == expected
    assert {s.name for s in SIGNALS if s.reference} == {"test_acc_pct", "log10_lr"}
    assert all(s.orientation in (-1, 1) and s.reason for s in SIGNALS)


def column(study, row):
    joined = study.runs
    if row.when == "epoch1" and row.signal != "log10_lr":
        first = study.epochs.filter(pl.col("epoch") == 1)
        joined = joined.select("cell_id", *CELL, "seed", "retention_pct").join(first, on="cell_id")
    if row.signal == "log10_lr":
        return joined, joined["lr"].log10().to_numpy()
    values = joined[row.signal.removeprefix("abs_")].to_numpy()
    return joined, np.abs(values) if row.signal.startswith("abs_") else values


def test_rows_are_spearman_overall_within_data_set_and_within_group(study, result):
    assert {row.when for row in result.rows} == {"final", "epoch1"}
    for row in result.rows:
        runs, x = column(study, row)
        y = runs["retention_pct"].to_numpy()

        def within(keys, x=x, y=y, runs=runs):
            label = runs.select(pl.concat_str(keys, separator="/"))[keys[0]].to_numpy()
            return np.array([stats.spearmanr(x[label == g], y[label == g]).statistic for g in np.unique(label)])

        groups = within(["dataset", "method"])
        assert row.n == 48
        assert row.rho == pytest.approx(stats.spearmanr(x, y).statistic)
        assert row.rho_within_dataset_abs == pytest.approx(np.abs(within(["dataset"])).mean())
        assert row.rho_within_group_abs == pytest.approx(np.abs(groups).mean())
        assert row.rho_within_group == pytest.approx(row.orientation * groups.mean())


def test_scores_are_oriented_and_on_cell_means(study, result):
    cells = study.runs.group_by(CELL).agg(pl.col("retention_pct", "weight_drift").mean())
    per_dataset = [
        -stats.spearmanr(c["weight_drift"], c["retention_pct"]).statistic for _, c in cells.group_by("dataset")
    ]
    row = next(r for r in result.rows if r.signal == "weight_drift" and r.when == "final")
    assert row.score == pytest.approx(np.mean(per_dataset))
    assert row.n_cells == 12
    best = max(r.score for r in result.rows if r.when == "final" and not r.reference)
    assert row.gap == pytest.approx(best - row.score)
    shares = [r.best_share for r in result.rows if r.when == "final" and not r.reference]
    assert sum(shares) == pytest.approx(1.0)
    assert all(np.isnan(r.best_share) for r in result.rows if r.reference)


def test_bootstrap_scores_are_those_of_the_resampled_cells():
    rng = np.random.default_rng(0)
    signals, outcome = np.round(rng.normal(size=(8, 3)), 1), rng.normal(size=8)
    dataset, group = np.repeat([0, 1], 4), np.repeat([0, 1, 2, 3], 2)
    found = cell_scores(signals, outcome, dataset, group, draws=50, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    picks = np.hstack([m[rng.integers(2, size=(50, 2))] for m in np.arange(8).reshape(4, 2)])
    for b in range(50):
        for k in range(3):
            each = []
            for d in (0, 1):
                chosen = picks[b, 4 * d : 4 * d + 4]
                x, y = signals[chosen, k], outcome[chosen]
                if np.ptp(x) > 0 and np.ptp(y) > 0:
                    each.append(stats.spearmanr(x, y).statistic)
            expected = np.mean(each) if each else np.nan
            assert found.resampled[b, k] == pytest.approx(expected, nan_ok=True)


def test_selection_takes_the_best_oriented_candidate_within_the_margin(study, result):
    cells = study.runs.group_by(CELL).agg(pl.col("retention_pct", "val_acc_pct", "weight_drift").mean())
    for dataset, part in cells.group_by("dataset"):
        candidates = part.filter(pl.col("val_acc_pct") >= part["val_acc_pct"].max() - 2.0)
        picked = candidates.sort("weight_drift").row(0, named=True)  # orientation -1: the smallest
        (row,) = [r for r in result.selection if r.dataset == dataset[0] and r.signal == "weight_drift"]
        assert row.n_candidates == candidates.height > 1
        assert (row.picked_method, row.picked_lr) == (picked["method"], picked["lr"])
        assert row.picked == f"{picked['method']} lr {picked['lr']:g}"
        retention = candidates["retention_pct"]
        assert row.retention_pct == pytest.approx(picked["retention_pct"])
        assert row.oracle == pytest.approx(retention.max())
        assert row.worst == pytest.approx(retention.min())
        assert row.random == pytest.approx(retention.mean())
    signals = {r.signal for r in result.selection_epoch1}
    assert "weight_drift" in signals
    assert "cka" not in signals  # not measured at epoch 1


def test_a_margin_that_admits_one_cell_leaves_nothing_to_choose(study):
    found = predictors(study.runs, study.epochs, margin=0.0, bootstrap=100)
    assert {r.n_candidates for r in found.selection} == {1}
    assert sum("nothing to choose" in s for s in found.left_out) == 2
    assert not any("Picked" in s for s in found.findings)


def test_an_accuracy_exactly_at_the_margin_is_within_it(study):
    exact = pl.when(pl.col("lr") == 1e-4).then(96.9).otherwise(94.9).alias("val_acc_pct")
    found = predictors(study.runs.with_columns(exact), study.epochs, margin=2.0, bootstrap=100)
    assert {r.n_candidates for r in found.selection} == {6}


def test_noise_is_not_shown_to_rank_retention(study):
    rng = np.random.default_rng(11)
    names = ["delta_entropy_pct", "delta_erf95_pct", "cka", "weight_drift", "train_loss"]
    noise = study.runs.with_columns(pl.Series(n, rng.normal(size=48)) for n in names)
    found = predictors(noise, study.epochs.clear())
    assert found.findings == ()
    first = next(s for s in found.descriptions if s.startswith("At the selected epoch"))
    assert "whether any ranks retention" in first
    assert "within data set x method: not supported" in first


def test_a_partly_measured_signal_keeps_its_n_and_is_not_compared(study):
    some = pl.when(pl.col("seed") == 7).then(None).otherwise(pl.col("cka")).alias("cka")
    found = predictors(study.runs.with_columns(some), study.epochs, bootstrap=100)
    row = next(r for r in found.rows if r.signal == "cka")
    assert row.n == 36
    assert np.isnan([row.score, row.gap, row.best_share]).all()
    assert any("in some of the runs only" in s and "“linear CKA to base”" in s for s in found.left_out)


def test_a_constant_signal_is_null(study):
    found = predictors(study.runs.with_columns(pl.lit(1.0).alias("cka")), study.epochs, bootstrap=100)
    row = next(r for r in found.rows if r.signal == "cka")
    assert np.isnan([row.rho, row.score, row.rho_within_group]).all()


def test_without_epochs_the_selected_epoch_is_still_answered(study):
    found = predictors(study.runs, study.epochs.clear(), bootstrap=100)
    assert {r.signal for r in found.rows if r.when == "epoch1"} == {"log10_lr"}
    assert any(s.startswith("not measured at epoch 1") for s in found.left_out)


def test_the_first_sentence_has_words_for_signals_and_one_count_of_them(study, result):
    first, second = result.findings[0], result.descriptions[0]
    scored = [r for r in result.rows if r.when == "final" and not np.isnan(r.score)]
    count = f"{sum(not r.reference for r in scored)} signals and {sum(r.reference for r in scored)} references"
    assert first.startswith(f"At the selected epoch, of {count} compared, the best signal")
    assert "for telling which cells keep more of the base model's zero-shot accuracy (retention)" in first
    best = max((r for r in scored if not r.reference), key=lambda r: r.score)
    assert f"“{signal_title(best.signal)}”" in first
    assert "rank correlation with retention, in the direction fixed beforehand, ρ = " in first
    assert second.startswith("At the selected epoch, over the runs within data set x method")
    assert "“test accuracy” " in second
    assert "“log₁₀ learning rate” " in second
    names = {s.name for s in SIGNALS}
    for sentence in (*result.findings, *result.descriptions):
        assert not [n for n in names if "_" in n and n in sentence], sentence


def test_what_cannot_be_told_from_the_best_names_three_and_counts_the_rest(result):
    scored = [r for r in result.rows if r.when == "final" and not r.reference and not np.isnan(r.score)]
    top = max(r.score for r in scored)
    near = [r for r in scored if r.score < top and not r.gap_ci_low > 0]
    first = result.findings[0]
    if len(near) > 4:
        assert f" and {len(near) - 3} more." in first
    named = [r for r in near if f"“{signal_title(r.signal)}”" in first.split("cannot be distinguished from")[-1]]
    assert len(named) == (3 if len(near) > 4 else len(near))


def test_a_signal_against_its_direction_is_told_with_the_count_of_what_was_compared(study):
    turned = study.runs.with_columns(cka=-pl.col("cka"))
    found = predictors(turned, study.epochs, bootstrap=200)
    (text,) = (s for s in found.findings if s.startswith("At the selected epoch “") and "against the direction" in s)
    assert "“linear CKA to base”" in text
    row = next(r for r in found.rows if (r.signal, r.when) == ("cka", "final"))
    assert row.p_against < 0.05 < row.p_adjusted
    assert f"adjusted for 7 signals, {p_text(row.p_against)}; seed-level {p_text(row.seed_level_p)})" in text
    assert "no prediction" in text


def test_a_selection_sentence_counts_who_picks_and_tells_retentions_apart(result):
    rows = [r for r in result.selection if r.dataset == "pets"]
    (text,) = (s for s in result.descriptions if s.startswith("On pets "))
    by_pick = {}
    for row in rows:
        by_pick.setdefault((row.picked_method, row.picked_lr), []).append(row)
    for (method, lr), found in by_pick.items():
        references = sum(r.signal in ("test_acc_pct", "log10_lr") for r in found)
        assert f"{method_title(method)} at lr {learning_rate(lr)} (retention {found[0].retention_pct:.1f} %) by" in text
        signals = len(found) - references
        assert not signals or f" by {signals} signal" in text
    assert not [r.signal for r in rows if "_" in r.signal and r.signal in text]


def test_bad_questions(study):
    with pytest.raises(StatsError, match="bootstrap"):
        predictors(study.runs, study.epochs, bootstrap=0)
    with pytest.raises(StatsError, match="margin"):
        predictors(study.runs, study.epochs, margin=float("nan"))
    with pytest.raises(StatsError, match="fewer than three cells"):
        predictors(study.runs.filter((pl.col("lr") == 1e-5) & (pl.col("dataset") == "pets")), study.epochs)
    with pytest.raises(StatsError, match="the same in all"):
        predictors(study.runs.with_columns(pl.lit(90.0).alias("retention_pct")), study.epochs)
    bare = study.runs.select("dataset", "method", "lr", "seed", "status", "retention_pct")
    with pytest.raises(StatsError, match="no signal"):
        predictors(bare, study.epochs)


def test_signals_have_the_words_of_their_columns():
    assert signal_title("cka_debiased") == "linear CKA to base, debiased"
    assert signal_title("abs_delta_entropy_pct") == "|Δ attention entropy|"
    assert signal_title("log10_lr") == "log₁₀ learning rate"
    assert signal_title("my_signal") == "my_signal"
