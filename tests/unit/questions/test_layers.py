import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import BLOCKS, HEADS, SEEDS, simulated_study
from statsmodels.stats.multitest import multipletests

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.layers.analysis import layers
from heatdrift.wording import signed


@pytest.fixture(scope="module")
def study():
    return simulated_study()


@pytest.fixture(scope="module")
def result(study):
    return layers(study.runs, study.layers, study.heads)


def values(study, view, metric, column, **at):
    """One response of the selected epoch beside the run's factors."""
    rows = view.filter((pl.col("metric") == metric) & (pl.col("epoch") == 2))
    for name, level in at.items():
        rows = rows.filter(pl.col(name) == level)
    return study.runs.join(rows.select("cell_id", pl.col(column).alias("v")), on="cell_id")


def test_every_row_is_a_t_test_over_seeds(study, result):
    for row in result.rows:
        column = "delta_pct" if row.metric == "entropy" else "value"
        at = {"layer": row.layer} | ({} if row.head is None else {"head": row.head})
        found = values(study, study.layers if row.head is None else study.heads, row.metric, column, **at)
        if row.test == "method":
            sign = pl.when(pl.col("method") == "lora_r8").then(2.0).otherwise(-2.0)  # two methods: mean -> difference
            found = found.with_columns(pl.col("v") * sign)
        else:
            found = found.filter((pl.col("dataset") == row.dataset) & (pl.col("method") == row.method))
        reference = stats.ttest_1samp(found.group_by("seed").agg(pl.col("v").mean())["v"].to_numpy(), 0.0)
        assert (row.n, row.n_seeds, row.df) == (found.height, len(SEEDS), len(SEEDS) - 1)
        assert row.t == pytest.approx(reference.statistic, rel=1e-9)
        assert row.p == pytest.approx(reference.pvalue, rel=1e-9)
        interval = reference.confidence_interval(0.95)
        assert (row.ci_low, row.ci_high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_families_are_blocks_and_heads_of_a_metric_and_test(result):
    seen = {}
    for row in result.rows:
        seen.setdefault((row.test, row.metric, row.head is None), []).append(row)
    groups = 4
    assert {key: len(rows) for key, rows in seen.items()} == {
        ("method", "entropy", True): BLOCKS,
        ("method", "entropy", False): BLOCKS * HEADS,
        ("method", "cka", True): BLOCKS,
        ("drift", "entropy", True): BLOCKS * groups,
        ("drift", "entropy", False): BLOCKS * HEADS * groups,
    }  # cka has no base value: whether it "drifted" is no question for a t test
    for rows in seen.values():
        p = [row.p for row in rows]
        assert [row.p_bh for row in rows] == pytest.approx(multipletests(p, method="fdr_bh")[1].tolist())
        assert [row.p_by for row in rows] == pytest.approx(multipletests(p, method="fdr_by")[1].tolist())
        assert {row.family for row in rows} == {len(rows)}


def test_units_say_what_a_row_is(result):
    units = {(row.test, row.metric): row.unit for row in result.rows}
    expected = {("method", "entropy"): "points", ("drift", "entropy"): "% of base", ("method", "cka"): "0..1"}
    assert units == expected


def test_no_effect_gives_no_claim(study):
    rng = np.random.default_rng(5)
    blocks = study.layers.with_columns(pl.Series("delta_pct", rng.normal(size=study.layers.height)))
    found = layers(study.runs, blocks, metrics=["delta_entropy_pct"])
    assert found.findings == ()
    (silent,) = found.descriptions
    assert "not supported" in silent
    assert "no proof of equality" in silent
    assert "Benjamini-Hochberg over 3 blocks of this metric; 0 also by Benjamini-Yekutieli; smallest adj" in silent


def test_a_finding_names_the_family_of_its_rate_and_its_largest_effect(result):
    method, *_ = [s for s in result.findings if "differ in the drift of attention entropy" in s]
    blocks = [r for r in result.rows if (r.test, r.metric, r.head) == ("method", "entropy", None)]
    assert f"by Benjamini-Hochberg over {len(blocks)} blocks of this metric; " in method
    largest = max((r for r in blocks if r.p_bh < 0.05), key=lambda r: abs(r.estimate))
    assert f"Largest of these: {signed(largest.estimate)} points in block {largest.layer} (counted from 0; " in method
    drift = next(s for s in result.findings if "is not 0, in" in s and " blocks " in s)
    family = next(r.family for r in result.rows if r.test == "drift" and r.head is None)
    assert f"over {family} tests by block, data set and method, of this metric" in drift


def test_the_family_of_one_data_set_has_no_data_sets(study):
    found = layers(study.runs.filter(pl.col("dataset") == "pets"), study.layers).findings
    assert any(" tests by block and method, of this metric" in s for s in found)


def test_drift_and_drift_name_are_the_same_question(study):
    one = layers(study.runs, study.layers, metrics=["entropy"])
    assert one == layers(study.runs, study.layers, metrics=["delta_entropy_pct", "entropy"])


def test_the_epoch_is_the_selected_one(study):
    earlier = study.runs.with_columns(pl.lit(0, pl.Int64).alias("selected_epoch"))
    found = layers(earlier, study.layers, metrics=["entropy"])
    assert all(np.isnan(row.p) and row.estimate == 0.0 for row in found.rows)  # epoch 0 is the base
    assert found.findings == ()


def test_a_response_that_a_run_lacks_is_left_out_and_counted(study):
    first = study.runs["cell_id"][0]
    lacking = (pl.col("cell_id") == first) & (pl.col("layer") == 1) & (pl.col("metric") == "entropy")
    found = layers(study.runs, study.layers.filter(~lacking), study.heads)
    assert "1 response of entropy without a finite value in every run" in found.left_out
    assert {r.layer for r in found.rows if r.head is None and r.metric == "entropy"} == {0, 2}


def test_unbalanced_seeds_cost_degrees_of_freedom(study):
    runs = study.runs.filter(~((pl.col("seed") == 7) & (pl.col("lr") == 1e-4)))
    row = layers(runs, study.layers, metrics=["entropy"]).rows[0]
    assert 2 < row.df < 3
    assert row.n == runs.height


def test_one_method_is_tested_for_drift_only(study):
    found = layers(study.runs.filter(pl.col("method") == "full_ft"), study.layers, study.heads)
    assert {row.test for row in found.rows} == {"drift"}
    assert any("methods are not compared" in s for s in found.left_out)


def test_the_order_of_rows_changes_nothing(study, result):
    views = [v.sample(fraction=1.0, shuffle=True, seed=3) for v in (study.runs, study.layers, study.heads)]
    assert layers(*views).findings == result.findings


def test_bad_questions(study):
    with pytest.raises(UnknownNameError, match="unknown metric 'entropie'"):
        layers(study.runs, study.layers, metrics=["entropie"])
    with pytest.raises(StatsError, match="gini"):
        layers(study.runs, study.layers, metrics=["gini"])
    with pytest.raises(StatsError, match="gini"):
        layers(study.runs, study.layers, metrics=["entropy", "gini"])
    with pytest.raises(StatsError, match="one seed"):
        layers(study.runs.filter(pl.col("seed") == 7), study.layers)
    with pytest.raises(UnknownNameError, match="unknown method"):
        layers(study.runs, study.layers, method_b="lora")
    with pytest.raises(StatsError, match="no finished runs"):
        layers(study.runs.clear(), study.layers)


def test_a_percentage_of_a_base_near_zero_says_so():
    study = simulated_study(noise=0.1)
    scaled = study.layers.with_columns(delta_pct=1000 * pl.col("delta_pct"))
    found = layers(study.runs, scaled, metrics=["entropy"]).findings
    assert any("a base value near 0 makes such a percentage" in text for text in found)
    assert not any("near 0 makes" in text for text in layers(study.runs, study.layers, metrics=["entropy"]).findings)
