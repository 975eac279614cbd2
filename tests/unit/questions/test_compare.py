import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import simulated_study

from heatdrift.accuracy import ON_TEST_TITLE
from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.compare.analysis import compare_studies
from heatdrift.questions.compare.section import compare_document
from heatdrift.questions.interaction.analysis import interaction

NAMES = ("first", "second")
RETENTION = ["retention_pct"]


@pytest.fixture(scope="module")
def runs():
    return described(simulated_study().runs)


def described(runs, **changes):
    """What a run says about the draws of its seed; hashes per data set, as in a store."""
    said = {
        "origin": pl.lit("heatdrift"),
        "backbone_sha256": pl.lit("b" * 64),
        "data_sha256": "data " + pl.col("dataset"),
        "split_sha256": "split " + pl.col("dataset"),
        "n_train": pl.lit(200),
        "method_spec": "spec " + pl.col("method"),
        "batch_size": pl.lit(32),
    }
    return runs.with_columns(**said).with_columns(**changes)


def shifted(runs, by, **changes):
    noise = pl.Series(np.random.default_rng(3).normal(0, 0.3, runs.height))
    return runs.with_columns(retention_pct=pl.col("retention_pct") + by + noise).with_columns(**changes)


def compared(a, b, **options):
    return compare_studies(a, b, names=NAMES, metrics=RETENTION, **options)


def test_a_cell_is_a_paired_t_interval_over_common_seeds(runs):
    other = shifted(runs, -2.0)
    result = compared(runs, other)
    row = result.rows[0]
    here = [pl.col(k) == getattr(row, k) for k in ("dataset", "method", "lr")]
    a, b = (r.filter(here).sort("seed")["retention_pct"].to_numpy() for r in (runs, other))
    test = stats.ttest_rel(a, b)
    low, high = test.confidence_interval(0.95)
    assert (row.how, row.n_seeds, row.n_a, row.n_b) == ("paired", 4, 4, 4)
    assert row.difference == pytest.approx(np.mean(a - b))
    assert (row.t, row.p, row.df) == pytest.approx((test.statistic, test.pvalue, 3))
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high))


def test_the_average_of_balanced_cells_is_a_t_test_on_one_mean_per_seed(runs):
    other = shifted(runs, -2.0)
    (average,) = (row for row in compared(runs, other).rows if row.dataset is None)
    joined = runs.join(other, on=["dataset", "method", "lr", "seed"], suffix="_b")
    means = (
        joined.with_columns(d=pl.col("retention_pct") - pl.col("retention_pct_b")).group_by("seed").agg(pl.mean("d"))
    )
    test = stats.ttest_1samp(means["d"].to_numpy(), 0.0)
    assert average.n_cells == 12
    assert (average.t, average.p, average.df) == pytest.approx((test.statistic, test.pvalue, 3))
    assert average.difference == pytest.approx(2.0, abs=0.3)


def test_without_common_seeds_two_means_are_compared_by_welch(runs):
    other = shifted(runs, -2.0, seed=pl.col("seed") + 1000)
    result = compared(runs, other)
    row = result.rows[0]
    here = [pl.col(k) == getattr(row, k) for k in ("dataset", "method", "lr")]
    a, b = (r.filter(here)["retention_pct"].to_numpy() for r in (runs, other))
    test = stats.ttest_ind(a, b, equal_var=False)
    assert row.how == "unpaired"
    assert (row.t, row.p, row.df) == pytest.approx((test.statistic, test.pvalue, test.df))
    assert result.n_pairs == 0
    assert "seed" not in result.matched_on
    assert (row.n_pairs, row.unused_a, row.unused_b) == (0, 0, 0)


DRAWS = ("origin", "backbone_sha256", "data_sha256", "split_sha256", "n_train", "method_spec", "batch_size")


@pytest.mark.parametrize("fact", DRAWS)
def test_seeds_are_no_pairs_where_they_do_not_draw_the_same_or_that_is_not_known(runs, fact):
    here = pl.col("dataset") == "pets"
    for value, said in (
        (pl.lit(7).cast(runs.schema[fact]), "different"),
        (pl.lit(None), "not known on one side at least"),
    ):
        other = shifted(runs, -2.0, **{fact: pl.when(here).then(value).otherwise(fact)})
        result = compared(runs, other)
        assert {(row.dataset, row.how) for row in result.rows} == {
            ("eurosat", "paired"), ("pets", "unpaired"), (None, "mixed"),
        }  # fmt: skip
        paired, not_paired = result.pairing
        assert (paired.paired, paired.n_cells, paired.n_pairs) == (True, 6, 24)
        assert (not_paired.paired, not_paired.n_cells, not_paired.n_pairs) == (False, 6, 0)
        assert said in not_paired.why
        assert not_paired.sentence.startswith("Not paired by seed in 6 of 12 cells")
        assert result.n_pairs == 24
    assert "of pets" in not_paired.why or fact in ("origin", "backbone_sha256", "method_spec", "batch_size")


def test_what_is_compared_need_not_be_the_same_for_pairs(runs):
    first = described(runs, epochs=5, precision=pl.lit("float32"), select_on=pl.lit("val"), commit=pl.lit("a"))
    second = described(runs, epochs=9, precision=pl.lit("bfloat16"), select_on=pl.lit("test"), commit=pl.lit("b"))
    result = compared(first, shifted(second, -2.0))
    assert {row.how for row in result.rows} == {"paired"}
    (row,) = result.pairing
    assert "a seed draws the same in both" in row.why


def test_another_backbone_is_not_paired(runs):
    result = compared(runs, shifted(runs, -2.0, backbone=pl.lit("another")))
    assert {row.how for row in result.rows} == {"unpaired"}
    assert "seed" not in result.matched_on


def test_in_a_paired_cell_means_are_over_pairs_and_the_rest_is_counted(runs):
    other = shifted(runs, -2.0).filter(~((pl.col("dataset") == "pets") & (pl.col("seed") == 7)))
    result = compared(runs, other)
    row = next(row for row in result.rows if row.dataset == "pets")
    here = [pl.col(k) == getattr(row, k) for k in ("dataset", "method", "lr")]
    assert (row.n_pairs, row.n_a, row.n_b, row.unused_a, row.unused_b) == (3, 3, 3, 1, 0)
    assert row.mean_a == pytest.approx(runs.filter(*here, pl.col("seed") != 7)["retention_pct"].mean())
    average = result.rows[-1]
    assert (average.n_pairs, average.unused_a, average.unused_b) == (42, 6, 0)
    assert any("In 6 paired cells some runs have no partner" in text for text in result.caveats)


def test_without_pairs_the_average_is_welch_on_one_mean_per_seed_of_each_side(runs):
    """Cells of one seed share it: its cells are not independent observations."""
    other = shifted(runs, -2.0, split_sha256=pl.lit("another")).filter(pl.col("seed") != 11)
    average = compared(runs, other).rows[-1]
    a, b = (r.group_by("seed").agg(pl.mean("retention_pct"))["retention_pct"].to_numpy() for r in (runs, other))
    test = stats.ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(0.95)
    assert (average.how, average.n_seeds, average.n_seeds_a, average.n_seeds_b) == ("unpaired", 3, 4, 3)
    assert (average.n_a, average.n_b, average.n_pairs) == (48, 36, 0)
    assert (average.t, average.p, average.df) == pytest.approx((test.statistic, test.pvalue, test.df))
    assert (average.ci_low, average.ci_high) == pytest.approx((low, high))


def test_without_pairs_the_numbers_of_seeds_do_not_matter(runs):
    other = shifted(runs, -2.0, split_sha256=pl.lit("another"))
    renamed = other.with_columns(seed=pl.col("seed").replace_strict({7: 42, 42: 11, 11: 19, 19: 7}))
    one, two = (compared(runs, side).rows for side in (other, renamed))
    assert [(row.difference, row.p) for row in one] == [pytest.approx((row.difference, row.p)) for row in two]


def test_with_some_cells_paired_the_unit_of_the_average_is_the_seed_of_both_sides(runs):
    split = pl.when(pl.col("dataset") == "pets").then(pl.lit("another")).otherwise("split_sha256")
    other = shifted(runs, -2.0, split_sha256=split)
    average = compared(runs, other).rows[-1]
    means = [r.group_by("seed").agg(pl.mean("retention_pct")).sort("seed")["retention_pct"] for r in (runs, other)]
    test = stats.ttest_1samp((means[0] - means[1]).to_numpy(), 0.0)
    assert (average.how, average.n_seeds, average.n_pairs) == ("mixed", 4, 24)
    assert (average.t, average.p, average.df) == pytest.approx((test.statistic, test.pvalue, 3))


def test_two_seeds_on_a_side_without_pairs_are_a_caveat(runs):
    other = shifted(runs, -2.0, split_sha256=pl.lit("another"))
    assert any("a side of two seeds" in text for text in compared(runs, other.filter(pl.col("seed") < 12)).caveats)
    assert not any("a side of two seeds" in text for text in compared(runs, other).caveats)


def test_one_common_seed_among_others_is_compared_by_means(runs):
    result = compared(runs, shifted(runs, -2.0, seed=pl.col("seed").replace({11: 111, 19: 119, 42: 142})))
    row = result.rows[0]
    assert (row.how, row.n_pairs, row.n_a, row.n_b) == ("unpaired", 1, 4, 4)
    assert (result.rows[-1].how, result.rows[-1].n_seeds) == ("mixed", 1)


def test_some_runs_that_are_the_same_run_are_said(runs):
    changed = pl.when(pl.col("seed") == 7).then(pl.col("retention_pct")).otherwise(pl.col("retention_pct") + 1)
    result = compared(runs, runs.with_columns(retention_pct=changed, study=pl.lit("copied")))
    assert result.n_same_runs == 12
    assert result.caveats[0].startswith("12 of 48 pairs are the same run in both studies")
    again = runs.with_columns(wall_s=pl.lit(2.0))
    assert compared(runs.with_columns(wall_s=pl.lit(1.0)), again).n_same_runs == 0


def test_runs_that_are_the_same_are_pairs_whatever_is_not_known(runs):
    unknown = runs.drop(DRAWS)
    assert {row.how for row in compared(unknown, unknown).rows} == {"paired"}
    assert {row.how for row in compared(unknown, shifted(unknown, -2.0)).rows} == {"unpaired"}


def test_a_constant_difference_has_no_interval(runs):
    result = compared(runs, runs.with_columns(retention_pct=pl.col("retention_pct") + 1))
    assert all(np.isnan(row.ci_low) and np.isnan(row.p) for row in result.rows)
    assert "no spread between seeds" in result.findings[0]


def test_the_same_runs_are_the_same_and_nothing_is_tested(runs):
    result = compared(runs, runs)
    assert result.caveats[0].startswith("All 48 pairs are the same runs")
    assert {row.difference for row in result.rows} == {0.0}
    assert all(np.isnan(row.p) for row in result.rows)
    assert result.findings == ("zero-shot retention is the same in first and second, averaged over 12 common cells.",)


def test_one_common_seed_has_a_difference_and_no_interval(runs):
    result = compared(runs, shifted(runs, -2.0).filter(pl.col("seed") == 7))
    assert {row.how for row in result.rows} == {"single"}
    assert all(np.isnan(row.ci_low) for row in result.rows)
    assert "too few runs" in result.findings[0]


def test_cells_on_one_side_only_are_named_and_not_compared(runs):
    result = compared(runs.filter(pl.col("lr") < 5e-5), runs.filter(pl.col("dataset") == "pets"))
    assert result.n_cells == 4
    assert {(c.dataset, c.lr) for c in result.missing_a} == {("pets", 1e-4)}
    assert {c.dataset for c in result.missing_b} == {"eurosat"}
    assert {row.dataset for row in result.rows} == {"pets", None}


def test_what_decides_results_and_differs_is_a_caveat(runs):
    first = runs.with_columns(select_on=pl.lit("val"), epochs=pl.lit(5), python=pl.lit("3.11"))
    second = runs.with_columns(select_on=pl.lit("test"), epochs=pl.lit(5), python=pl.lit("3.12"))
    result = compare_studies(first, second, names=NAMES, metrics=["test_acc_pct"])
    facts = {fact.name: fact for fact in result.facts}
    assert facts["epochs"].same is True
    assert facts["select_on"].same is False
    assert facts["python"].same is False
    assert any("select" in text and "Not like with like" in text for text in result.caveats)
    assert any("Test accuracies are not comparable" in text for text in result.caveats)
    assert not any("python" in text for text in result.caveats)


def preprint(runs):
    """The same runs under the published protocol: the test split selected the epochs, and nothing else was tested."""
    return runs.with_columns(
        protocol=pl.lit("preprint"), select_on=pl.lit("test"), test_acc_pct=pl.lit(None, pl.Float64)
    )


def test_accuracies_that_selected_their_epochs_are_named_as_such_with_a_caveat_for_each_study(runs):
    published = preprint(runs)
    result = compare_studies(published, shifted(published, -2.0), names=NAMES, metrics=["val_acc_pct"])
    assert result.findings[0].startswith(ON_TEST_TITLE)
    said = [text for text in result.caveats if "selected on the provided test split" in text]
    assert [text.split(":")[0] for text in said] == ["first", "second"]
    assert all("optimistic" in text for text in said)
    one = compare_studies(published, runs, names=NAMES, metrics=["val_acc_pct"])
    assert [text.split(":")[0] for text in one.caveats if "provided test split" in text] == ["first"]
    drawn = compare_document(result).datasets["fig-differences-rows"]
    assert drawn["panel"].unique().to_list() == [ON_TEST_TITLE]


def test_cells_that_could_be_paired_but_share_no_seed_are_said_to_be_unpaired(runs):
    apart = shifted(runs, -2.0, seed=pl.col("seed") + 1000)
    (row,) = compared(runs, apart).pairing
    assert (row.paired, row.n_cells, row.n_pairs) == (False, 12, 0)
    assert row.sentence == (
        "Not paired by seed in 12 of 12 cells, but two independent means: the studies share no seed there."
    )
    partly = shifted(
        runs, -2.0, seed=pl.when(pl.col("dataset") == "pets").then(pl.col("seed") + 1000).otherwise("seed")
    )
    paired, apart_row = compared(runs, partly).pairing
    assert (paired.paired, paired.n_cells, paired.n_pairs) == (True, 6, 24)
    assert (apart_row.paired, apart_row.n_cells) == (False, 6)


def test_what_one_side_does_not_say_is_not_called_equal(runs):
    result = compared(runs.with_columns(precision=pl.lit("float32")), runs.with_columns(precision=pl.lit(None)))
    assert next(fact for fact in result.facts if fact.name == "precision").same is None
    assert any("Not known on one side" in text and "precision" in text for text in result.caveats)


def test_other_backbones_are_matched_without_it_and_that_is_said(runs):
    result = compared(runs, runs.with_columns(backbone=pl.lit("another")))
    assert "backbone" not in result.matched_on
    assert "No backbone is common" in result.caveats[0]


def test_holm_adjusts_cells_and_averages_apart(runs):
    result = compare_studies(runs, shifted(runs, -2.0), names=NAMES, metrics=RETENTION)
    average = result.rows[-1]
    assert average.dataset is None
    assert average.p_holm == pytest.approx(average.p)
    assert all(row.p_holm >= row.p for row in result.rows[:-1])


def test_what_cannot_be_compared_is_an_error(runs):
    with pytest.raises(StatsError, match="no common cell"):
        compared(runs, runs.with_columns(dataset="other-" + pl.col("dataset")))
    with pytest.raises(StatsError, match="second has no finished run"):
        compared(runs, runs.with_columns(status=pl.lit("failed")))
    with pytest.raises(StatsError, match="several runs"):
        compared(runs, pl.concat([runs, runs]))
    with pytest.raises(StatsError, match="was not measured in second"):
        compared(runs, runs.with_columns(retention_pct=pl.lit(None, dtype=pl.Float64)))
    with pytest.raises(UnknownNameError):
        compare_studies(runs, runs, names=NAMES, metrics=["retention"])


def test_another_arithmetic_of_evaluation_is_named_and_never_pooled(runs):
    stated = [runs.with_columns(eval_precision=pl.lit(value)) for value in ("float32", "bfloat16")]
    result = compared(*stated)
    fact = next(fact for fact in result.facts if fact.name == "eval_precision")
    assert (fact.a, fact.b, fact.same, fact.decides) == ("float32", "bfloat16", False, True)
    assert "arithmetic of evaluation (float32 against bfloat16)" in " ".join(result.caveats)
    half = pl.concat([stated[0].filter(pl.col("seed") == 7), stated[1].filter(pl.col("seed") != 7)])
    with pytest.raises(StatsError, match="differ in eval_precision"):
        interaction(half, metric="delta_entropy_pct")


def names_of(runs, names, template="a photo of a {}."):
    kept = json.dumps({"cifar100": names, "pets": ["cat", "dog"]})
    return runs.with_columns(
        transfer_set=pl.lit("cifar100"), class_names=pl.lit(kept), prompt_template=pl.lit(template)
    )


def test_class_names_and_prompts_that_differ_are_listed(runs):
    ours, theirs = ["apple", "aquarium fish", "crab"], ["apple", "aquarium_fish", "cra"]
    result = compared(names_of(runs, ours), names_of(runs, theirs, "a photo of a {}"))
    found = {(fact.name, fact.of): fact for fact in result.facts}
    names, prompt = found["class_names", "cifar100"], found["prompt_template", ""]
    assert (names.a, names.b, names.same, names.decides) == ("aquarium fish, crab", "aquarium_fish, cra", False, True)
    assert (prompt.a, prompt.b, prompt.same) == ("a photo of a {}.", "a photo of a {}", False)
    said = " ".join(result.caveats)
    assert "class names in prompts of cifar100 (aquarium fish, crab against aquarium_fish, cra)" in said
    assert ("class_names", "pets") not in found, "names of a target set are in no prompt"


def test_equal_and_unknown_class_names_are_not_called_different(runs):
    named = names_of(runs, [f"class {i}" for i in range(9)])
    fact = next(f for f in compared(named, named).facts if f.name == "class_names")
    assert (fact.a, fact.same) == ("class 0, class 1, class 2, class 3 and 5 more", True)
    silent = named.with_columns(class_names=pl.lit(None, dtype=pl.String))
    fact = next(f for f in compared(named, silent).facts if f.name == "class_names")
    assert (fact.b, fact.same) == ("", None)
    assert not any(f.name == "class_names" for f in compared(silent, silent).facts)
    longer = names_of(runs, [f"class {i}" for i in range(5)])
    fact = next(f for f in compared(named, longer).facts if f.name == "class_names")
    assert (fact.b, fact.same) == ("class 0, class 1, class 2, class 3 and 1 more", False)
