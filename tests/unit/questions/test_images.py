"""stats images: differences by plain loops, what is refused, what cannot be said, which classes were forgotten."""

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_images import CLASSES, N_IMAGES, balanced, simulated_images

from heatdrift.errors import RecordError, StatsError, UnknownNameError
from heatdrift.questions.images.analysis import images
from heatdrift.questions.images.seed_images import seed_weights

RUNS = balanced(datasets=("eurosat", "pets"))
HITS = simulated_images(RUNS)


@pytest.fixture(scope="module")
def result():
    return images(RUNS, HITS, bootstrap=400)


def row(result, a, b, dataset=None):
    (found,) = (r for r in result.rows if (r.method_a, r.method_b, r.dataset) == (a, b, dataset))
    return found


def accuracy(runs, hits, which="adapted"):
    """(dataset, method, lr, seed) -> percent right."""
    keys = runs.select("dataset", "method", "lr", "seed").rows()
    return dict(zip(keys, (100 * hits[c][f"cifar100/{which}"].mean() for c in runs["cell_id"]), strict=True))


@pytest.mark.parametrize("dataset", [None, "eurosat", "pets"])
def test_the_headline_is_the_paired_t_test_of_per_seed_means(result, dataset):
    values = accuracy(RUNS, HITS)
    d = [
        np.mean([values[d, "lora_r8", lr, s] - values[d, "full_ft", lr, s] for d, _, lr, t in values
                 if t == s and dataset in (None, d)])
        for s in (1, 2, 3)
    ]  # fmt: skip
    reference = stats.ttest_1samp(d, 0.0)
    found = row(result, "lora_r8", "full_ft", dataset)
    assert (found.estimate, found.t, found.df) == pytest.approx((np.mean(d), reference.statistic, 2.0))
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(reference.confidence_interval()))


def test_adapted_is_compared_with_its_base_on_the_same_images(result):
    adapted, base = accuracy(RUNS, HITS), accuracy(RUNS, HITS, "base")
    d = [np.mean([adapted[k] - base[k] for k in adapted if k[3] == s and k[1] == "full_ft"]) for s in (1, 2, 3)]
    found = row(result, "full_ft", "base")
    assert found.estimate == pytest.approx(np.mean(d))
    assert found.p == pytest.approx(stats.ttest_1samp(d, 0.0).pvalue)
    assert found.n_conditions == 4
    assert found.n_images == N_IMAGES


def test_over_seeds_and_images_the_error_is_no_smaller_and_the_bootstrap_agrees(result):
    for found in result.rows:
        assert found.both_se >= found.se * (1 - 1e-6)
        assert found.both_low <= found.estimate <= found.both_high
        assert found.bootstrap_low < found.estimate < found.bootstrap_high
        assert found.bootstrap_high - found.bootstrap_low < 1.3 * (found.both_high - found.both_low)


def test_seeds_of_one_method_alone_give_welchs_test():
    runs = RUNS.with_columns(seed=pl.when(pl.col("method") == "full_ft").then("seed").otherwise(pl.col("seed") + 10))
    found = row(images(runs, HITS, bootstrap=100), "lora_r8", "full_ft")
    values = accuracy(runs, HITS)
    a, b = (
        [np.mean([v for k, v in values.items() if k[1] == m and k[3] == s]) for s in seeds]
        for m, seeds in (("lora_r8", (11, 12, 13)), ("full_ft", (1, 2, 3)))
    )
    reference = stats.ttest_ind(a, b, equal_var=False)
    assert (found.t, found.df, found.p) == pytest.approx((reference.statistic, reference.df, reference.pvalue))
    assert (found.n_linked, found.n_seeds_a, found.n_seeds_b) == (0, 3, 3)
    assert found.both_se >= found.se


def test_a_missing_run_leaves_its_condition_and_its_seed_in():
    lacking = RUNS.filter(pl.int_range(pl.len()) != 4)
    found = row(images(lacking, HITS, bootstrap=100), "lora_r8", "full_ft")
    assert found.n_conditions == 4
    assert found.n_seeds_a == found.n_seeds_b == 3
    assert abs(found.estimate - row(images(RUNS, HITS, bootstrap=100), "lora_r8", "full_ft").estimate) < 5


def test_weights_of_seeds_are_plain_means_where_nothing_is_missing():
    cell, seed = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    assert seed_weights(cell, seed) == pytest.approx(np.equal(np.arange(3)[:, None], seed) / 4)


def test_weights_of_seeds_give_a_seed_that_lacks_a_condition_the_mean_there():
    cell, seed = np.array([0, 0, 1]), np.array([0, 1, 0])
    found = seed_weights(cell, seed) @ np.array([1.0, 3.0, 10.0])
    assert found.tolist() == [pytest.approx(6.0 - 0.5), pytest.approx(6.0 + 1.0)]


def test_mcnemar_counts_images_that_one_model_alone_has_right(result):
    assert len(result.mcnemar) == RUNS.height + RUNS.height // 2
    by_key = dict(zip(RUNS.select("dataset", "method", "lr", "seed").rows(), RUNS["cell_id"], strict=True))
    for found in result.mcnemar:
        against_base = found.method_b == "base"
        first = HITS[by_key[found.dataset, found.method_a, found.lr, found.seed]]["cifar100/adapted"]
        second = found.method_a if against_base else found.method_b
        other = HITS[by_key[found.dataset, second, found.lr, found.seed]]
        second = other["cifar100/base" if against_base else "cifar100/adapted"]
        counts = int(np.sum(first & ~second)), int(np.sum(second & ~first))
        assert (found.only_a, found.only_b) == counts
        assert found.p == pytest.approx(stats.binomtest(counts[0], max(sum(counts), 1), 0.5).pvalue)


def test_retention_pairs_base_and_adapted_and_both_sources_are_wider_than_one(result):
    adapted, base = accuracy(RUNS, HITS), accuracy(RUNS, HITS, "base")
    for found in result.retention:
        keys = [(found.dataset, found.method, found.lr, s) for s in (1, 2, 3)]
        values = [100 * adapted[k] / base[k] for k in keys]
        assert found.retention_pct == pytest.approx(np.mean(values))
        low, high = stats.ttest_1samp(values, 0.0).confidence_interval()
        assert (found.seeds_low, found.seeds_high) == pytest.approx((low, high))
        assert found.both_high - found.both_low > 0.9 * (found.images_high - found.images_low)


def test_what_limits_the_comparison_and_what_more_would_buy(result):
    for part in result.split:
        assert part.limited_by == ("seeds" if part.se_of_seeds > part.se_of_images else "images")
        assert part.sd_seed_low <= part.sd_seed <= part.sd_seed_high
    now, seeds, both_images, *_ = (r for r in result.predicted if (r.method_a, r.method_b) == ("lora_r8", "full_ft"))
    assert (seeds.n_seeds, both_images.n_images) == (2 * now.n_seeds, 2 * now.n_images)
    assert now.se > max(seeds.se, both_images.se)


def test_the_forgotten_class_is_found_and_what_it_is_taken_for(result):
    of_full = {r.name: r for r in result.classes if r.of == "full_ft"}
    assert set(of_full) == set(CLASSES)
    worst = min(of_full.values(), key=lambda r: r.change)
    assert worst.name == "apple"
    assert worst.p_bh < 0.05
    difference = {r.name: r for r in result.classes if r.of == "lora_r8 - full_ft"}
    assert max(difference.values(), key=lambda r: r.change).name == "apple"
    assert sum(r.n_images for r in of_full.values()) == N_IMAGES
    first = next(r for r in result.confusions if r.method == "full_ft")
    assert (first.true, first.predicted) == ("apple", "bear")
    assert first.low <= first.gain <= first.high
    assert any("apple" in text for text in result.findings)


def test_a_confusion_is_counted_per_run_over_base(result):
    found = next(r for r in result.confusions if (r.method, r.true, r.predicted) == ("full_ft", "apple", "bear"))
    gains = []
    for cell in RUNS.filter(pl.col("method") == "full_ft")["cell_id"]:
        a = {name.removeprefix("cifar100/"): v for name, v in HITS[cell].items()}
        of = a["class"] == 0
        gains.append(100 * (np.mean(a["adapted_class"][of] == 1) - np.mean(a["base_class"][of] == 1)))
    assert found.gain == pytest.approx(np.mean(gains))


def test_the_logistic_check_says_the_same_on_its_own_scale(result):
    pairs = [(r.method_a, r.method_b) for r in result.logistic]
    assert pairs == [("lora_r8", "full_ft"), ("lora_r8", "base"), ("full_ft", "base")]
    for check in result.logistic:
        assert check.converged
        assert np.sign(check.estimate) == np.sign(row(result, check.method_a, check.method_b).estimate)
        assert check.sd_image > 0.5
        assert np.isnan(check.sd_run) == (check.method_b == "base")
    parted = [c for c in result.logistic if (c.p < 0.05) != (row(result, c.method_a, c.method_b).p < 0.05)]
    assert len([note for note in result.notes if "logistic check" in note]) == len(parted) == 1


def test_claims_are_one_per_test_and_findings_hold_after_holm(result):
    keys = [claim.key for claim in result.claims]
    assert len(set(keys)) == len(keys) == 9 + 3
    assert "images/cifar100/lora_r8-full_ft/all" in keys
    assert all(0 <= claim.p <= 1 for claim in result.claims)
    holding = [r for r in result.rows if r.p_holm < 0.05]
    assert len([s for s in result.findings if "classes" not in s]) == len(holding)


def test_runs_of_before_classes_were_kept_say_what_they_cannot_answer():
    result = images(RUNS, simulated_images(RUNS, kept=False), bootstrap=100)
    assert (result.classes, result.confusions, result.n_classes) == ((), (), 0)
    assert any("no classes kept" in text for text in result.left_out)
    assert row(result, "lora_r8", "full_ft").p == row(images(RUNS, HITS, bootstrap=100), "lora_r8", "full_ft").p


def test_runs_without_predicted_classes_answer_which_class_but_not_for_which():
    mixed = dict(HITS)
    old = simulated_images(RUNS, kept=False)
    for cell in RUNS["cell_id"][:2]:
        mixed[cell] = old[cell]
    result = images(RUNS, mixed, bootstrap=100)
    assert result.classes
    assert result.confusions == ()
    assert any("no predicted classes kept in 2 of 24 runs" in text for text in result.left_out)


def changed(arrays, **changes):
    return {**arrays, **{f"cifar100/{name}": values for name, values in changes.items()}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: changed(a, images=np.array("others")), "other images, or in another order"),
        (lambda a: {n: v if v.ndim == 0 or "names" in n else v[:-1] for n, v in a.items()}, "360 and 359 images"),
        (lambda a: changed(a, class_names=np.array(CLASSES[::-1])), "other class names"),
    ],
)
def test_images_that_are_not_the_same_for_two_runs_are_never_compared(change, words):
    cell = RUNS["cell_id"][5]
    with pytest.raises(StatsError, match=words) as error:
        images(RUNS, {**HITS, cell: change(HITS[cell])})
    assert "lr 1e-4, seed 3" in error.value.message


def test_without_a_hash_the_base_must_be_right_on_the_same_images():
    old = simulated_images(RUNS, kept=False)
    cell = RUNS["cell_id"][5]
    few = old[cell]["cifar100/base"].copy()
    few[:3] = ~few[:3]  # another machine
    assert images(RUNS, {**old, cell: changed(old[cell], base=few)}, bootstrap=100).n_runs == 24
    with pytest.raises(StatsError, match="the base is right on the same images in"):
        images(RUNS, {**old, cell: changed(old[cell], base=np.roll(few, 100))})


class Broken(dict):
    """One run's file is damaged."""

    def __getitem__(self, cell):
        if cell == RUNS["cell_id"][0]:
            raise RecordError("hits.npz", "damaged array file")
        return super().__getitem__(cell)


def test_runs_that_lack_results_are_counted():
    some = {cell: HITS[cell] for cell in RUNS["cell_id"][2:]}
    result = images(RUNS, some, bootstrap=100)
    assert (result.n_runs, result.n_dropped) == (22, 2)
    assert "2 runs without per-image results of cifar100" in result.left_out
    result = images(RUNS, Broken(HITS), bootstrap=100)
    assert (result.n_runs, result.n_dropped) == (23, 1)
    assert any("cannot be read" in text for text in result.left_out)
    cell = RUNS["cell_id"][1]
    broken = images(RUNS, {**HITS, cell: changed(HITS[cell], adapted=np.ones(3, dtype=bool))}, bootstrap=100)
    assert any(f"run {cell}" in text for text in broken.left_out)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"transfer": "pets37"}, UnknownNameError, "pets37"),
        ({"method_a": "lora"}, UnknownNameError, "lora"),
        ({"method_b": "lora_r8"}, StatsError, "cannot be compared with itself"),
        ({"conf_level": 1.5}, StatsError, "confidence level"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        images(RUNS, HITS, **options)


def test_no_results_at_all_say_where_they_would_come_from():
    with pytest.raises(StatsError, match="no finished run has results of single images of cifar100") as error:
        images(RUNS, {})
    assert "--images" in error.value.hint


def test_a_study_of_one_method_is_compared_with_its_base_alone():
    runs = RUNS.filter(pl.col("method") == "full_ft")
    result = images(runs, HITS, bootstrap=100)
    assert {(r.method_a, r.method_b) for r in result.rows} == {("full_ft", "base")}
    assert any("no run of another method than full_ft" in text for text in result.left_out)


def test_methods_without_a_common_learning_rate_are_each_compared_with_base():
    runs = RUNS.with_columns(lr=pl.when(pl.col("method") == "lora_r8").then(pl.col("lr") * 100).otherwise("lr"))
    result = images(runs, HITS, bootstrap=100)
    assert {r.method_b for r in result.rows} == {"base"}
    assert any("stats best" in text for text in result.left_out)


def test_one_seed_has_estimates_and_no_test():
    runs = RUNS.filter(pl.col("seed") == 1)
    result = images(runs, HITS, bootstrap=100)
    for found in result.rows:
        assert np.isfinite(found.estimate)
        assert np.isnan([found.p, found.ci_low, found.both_p, found.bootstrap_low]).all()
    assert result.findings == ()
    assert (result.split, result.classes, result.logistic) == ((), (), ())
    assert result.mcnemar[0].p <= 1


def test_a_method_that_changes_nothing_has_no_test_and_full_retention():
    still = {c: changed(a, adapted=a["cifar100/base"], adapted_class=a["cifar100/base_class"]) for c, a in HITS.items()}
    result = images(RUNS, still, bootstrap=100)
    assert {r.estimate for r in result.rows} == {0.0}
    assert all(np.isnan(r.p) for r in result.rows)
    assert {r.retention_pct for r in result.retention} == {100.0}
    assert result.findings == ()


def test_the_same_seed_gives_the_same_numbers():
    first, again = (images(RUNS, HITS, bootstrap=150, seed=3) for _ in range(2))
    assert first == again
    assert first.rows[0].bootstrap_low != images(RUNS, HITS, bootstrap=150, seed=4).rows[0].bootstrap_low


def test_tables_are_shown_with_all_their_columns(result):
    shown = list(result.shown())
    titles = [part.title for part in shown if not isinstance(part, str)]
    assert any("what limits the comparison" in title for title in titles)
    assert any(title.startswith("classes, full_ft") for title in titles)
    assert any(title.startswith("confusions") for title in titles)
    assert {r["method_a"] for r in result.csv_rows()} == {"lora_r8", "full_ft"}


def test_a_hits_file_that_contradicts_itself_is_no_result():
    cell = RUNS["cell_id"][0]
    only = RUNS.head(1)
    with pytest.raises(StatsError, match="no finished run has results of single images"):
        images(only, {cell: changed(HITS[cell], adapted=np.ones(2, dtype=bool))})
