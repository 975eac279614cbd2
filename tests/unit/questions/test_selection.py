import polars as pl
import pytest

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.selection import largest_block, measured_metrics, select_runs

METRIC = ["delta_entropy_pct"]


def test_unfinished_and_unmeasured_runs_are_counted_and_named(make_runs):
    runs = make_runs().with_row_index("i")
    runs = runs.with_columns(
        status=pl.when(pl.col("i") == 0)
        .then(pl.lit("diverged"))
        .when(pl.col("i") < 3)
        .then(pl.lit("failed"))
        .otherwise("status"),
        delta_entropy_pct=pl.when(pl.col("i") == 3)
        .then(None)
        .when(pl.col("i") == 4)
        .then(float("nan"))
        .when(pl.col("i") == 5)
        .then(float("inf"))
        .otherwise("delta_entropy_pct"),
    ).drop("i")
    selection = select_runs(runs, METRIC)
    assert selection.frame.height == 74
    assert selection.n_dropped == 6
    assert selection.left_out == (
        "1 run with status diverged",
        "2 runs with status failed",
        "1 run without delta_entropy_pct",
        "2 runs whose delta_entropy_pct is NaN or infinite",
    )


@pytest.mark.parametrize("column", ["study", "protocol", "backbone", "precision"])
def test_runs_that_differ_in_an_unnamed_factor_are_not_pooled(make_runs, column):
    runs = pl.concat([make_runs(), make_runs()]).with_row_index("i")
    runs = runs.with_columns(pl.when(pl.col("i") < 80).then(pl.lit("one")).otherwise(pl.lit("two")).alias(column)).drop(
        "i"
    )
    with pytest.raises(StatsError, match=f"differ in {column} \\(one, two\\)") as caught:
        select_runs(runs, METRIC)
    assert caught.value.hint


def test_transfer_sets_matter_for_retention_only(make_runs):
    runs = make_runs().with_row_index("i")
    runs = runs.with_columns(transfer_set=pl.when(pl.col("i") < 40).then(pl.lit("a")).otherwise(pl.lit("b"))).drop("i")
    assert select_runs(runs, METRIC).frame.height == 80
    with pytest.raises(StatsError, match="transfer_set"):
        select_runs(runs, ["retention_pct"])


def test_two_recipes_of_one_point_are_not_pooled(make_runs):
    with pytest.raises(StatsError, match="80 combinations"):
        select_runs(pl.concat([make_runs(), make_runs()]), METRIC)


def test_no_finished_run_names_the_statuses(make_runs):
    with pytest.raises(StatsError, match="80 runs with status running") as caught:
        select_runs(make_runs().with_columns(status=pl.lit("running")), METRIC)
    assert "heatdrift train" in str(caught.value.hint)


def test_nothing_measured_is_an_error(make_runs):
    with pytest.raises(StatsError, match="80 runs without delta_entropy_pct"):
        select_runs(make_runs().with_columns(delta_entropy_pct=pl.lit(None, pl.Float64)), METRIC)


def test_unknown_metric_offers_the_nearest(make_runs):
    with pytest.raises(UnknownNameError) as caught:
        select_runs(make_runs(), ["delta_entropi_pct"])
    assert caught.value.nearest == "delta_entropy_pct"


def test_missing_column_is_named(make_runs):
    with pytest.raises(StatsError, match="no column seed"):
        select_runs(make_runs().drop("seed"), METRIC)


def test_largest_block_of_the_leakfree_grid_keeps_the_four_learning_rates(make_runs):
    full = make_runs(seeds=(7, 11, 19))
    extra = [
        make_runs(seeds=(7, 11, 19), methods=(m,), lrs=lrs)
        for m, lrs in (("linear_probe", (1e-3,)), ("last_block", (1e-5, 5e-5)), ("lora_r8_frozen_proj", (1e-5, 5e-5)))
    ]
    block = largest_block(select_runs(pl.concat([full, *extra]), METRIC))
    assert block.levels("method") == ["full_ft", "lora_r8"]
    assert block.frame.height == 48
    assert block.n_dropped == 30
    assert block.left_out == (
        "30 runs outside the largest complete block of 4 learning rates x 2 methods: last_block at lr 1e-5, 5e-5; "
        "linear_probe at lr 1e-3; lora_r8_frozen_proj at lr 1e-5, 5e-5",
    )


def test_one_missing_run_does_not_change_which_block_is_modelled(make_runs):
    seeds = (7, 11, 19)
    full = make_runs(seeds=seeds)
    extra = make_runs(seeds=seeds, methods=("last_block", "lora_r8_frozen_proj"), lrs=(1e-5, 5e-5))
    lost = (pl.col("method") == "lora_r8") & (pl.col("lr") == 1e-6) & (pl.col("seed") == 7)
    block = largest_block(select_runs(pl.concat([full.filter(~lost), extra]), METRIC))
    assert block.levels("method") == ["full_ft", "lora_r8"]
    assert block.frame.height == 46


def test_a_learning_rate_that_one_data_set_lacks_is_outside(make_runs):
    runs = make_runs().filter(~((pl.col("dataset") == "pets") & (pl.col("lr") == 5e-5)))
    block = largest_block(select_runs(runs, METRIC))
    assert block.frame.height == 60
    assert "1 " not in block.left_out[0].split(":")[0]
    assert block.n_dropped == 10


def test_disjoint_grids_of_two_data_sets_are_refused(make_runs):
    runs = pl.concat([make_runs(datasets=("eurosat",), lrs=(1e-6,)), make_runs(datasets=("pets",), lrs=(1e-5,))])
    with pytest.raises(StatsError, match="every data set"):
        largest_block(select_runs(runs, METRIC))


@pytest.mark.parametrize("value", [pl.lit("x"), pl.lit("1.5"), pl.lit([1.0])])
def test_a_metric_that_holds_no_numbers_is_refused_by_name(make_runs, value):
    with pytest.raises(StatsError, match=r"column delta_entropy_pct of the runs holds .*, not numbers"):
        select_runs(make_runs().with_columns(delta_entropy_pct=value), METRIC)


def test_one_text_is_no_list_of_metrics(make_runs):
    """A text is a sequence of letters: without the check its first letter would be the unknown metric."""
    for asked in (select_runs, measured_metrics):
        with pytest.raises(StatsError, match="metrics is the text 'delta_entropy_pct'") as caught:
            asked(make_runs(), "delta_entropy_pct")
        assert caught.value.hint == "for example ['delta_entropy_pct']"
