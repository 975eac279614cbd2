"""Frames of other libraries give the same answer as polars; what is no table of runs is refused by our own error."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import heatdrift
from heatdrift.errors import HeatdriftError, StatsError, UnknownNameError
from heatdrift.questions.frames import as_polars


@pytest.fixture(scope="module")
def runs(request):
    from heatdrift.api.store import Store

    return Store.shipped().view("runs", study="mini", dataset=["pets"])


def as_relation(runs):
    connection = duckdb.connect()
    connection.register("these_runs", runs.to_arrow())
    return connection.sql("select * from these_runs")


def as_lists(runs):
    wanted = ("dataset", "method", "lr", "seed", "status", "retention_pct")
    return {name: runs[name].to_list() for name in wanted}


@pytest.mark.parametrize(
    "convert",
    [
        lambda runs: runs.lazy(),
        lambda runs: runs.to_pandas(),
        lambda runs: runs.to_pandas().astype({"method": "category", "dataset": "category"}),
        lambda runs: runs.to_arrow(),
        as_relation,
        as_lists,
    ],
    ids=["lazy", "pandas", "pandas categories", "pyarrow", "duckdb", "lists"],
)
def test_every_kind_of_frame_gives_the_same_numbers(convert, runs):
    expected = heatdrift.paired(runs, metrics=["retention_pct"])
    found = heatdrift.paired(convert(runs), metrics=["retention_pct"])
    assert found.rows == expected.rows
    assert list(found.charts()) == list(expected.charts())


def test_a_frame_by_its_keyword_is_taken_too(runs):
    assert heatdrift.dose(runs=runs.to_pandas(), metrics=["cka"]).n_runs == runs.height


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "a int is no table"),
        (None, "a NoneType is no table"),
        ("runs.csv", "a str is no table"),
        ([1, 2], "a list is no table"),
        (pd.DataFrame({"seed": [1, "x"]}), "cannot be read as a table"),
        ({"seed": [1, 2], "lr": [1]}, "cannot be read as a table"),
        (pl.DataFrame(), "lacks columns dataset, method, lr, seed, status (it is empty)"),
        (pa.table({"dataset": ["a"], "acc": [1.0]}), "lacks columns method, lr, seed, status (it has dataset, acc)"),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_what_is_no_frame_of_runs_is_refused_with_what_it_lacks(given, words):
    with pytest.raises(StatsError) as refused:
        heatdrift.paired(given)
    assert words in refused.value.message
    assert refused.value.hint


def test_text_where_numbers_must_be_is_refused(runs):
    with pytest.raises(StatsError, match="column lr of the frame of runs holds String, not numbers"):
        heatdrift.dose(runs.with_columns(pl.col("lr").cast(pl.String)))


@pytest.mark.parametrize("view", ["epochs", "layers", "heads"])
def test_a_view_of_another_shape_is_refused_too(view, runs):
    blocks = pl.DataFrame(schema=dict.fromkeys(("cell_id", "epoch", "layer", "metric", "value"), pl.Float64))
    ask = {
        "epochs": lambda: heatdrift.predictors(runs, runs.select("cell_id")),
        "layers": lambda: heatdrift.layers(runs, runs.select("cell_id")),
        "heads": lambda: heatdrift.layers(runs, blocks, runs.select("cell_id")),
    }[view]
    with pytest.raises(StatsError, match=f"the frame of {view} lacks column"):
        ask()


KEYS = ("study", "cell_id", "dataset", "method", "lr", "seed", "status")
QUESTIONS = {
    "interaction": lambda f: heatdrift.interaction(f, metric="retention_pct"),
    "paired": heatdrift.paired,
    "best": heatdrift.best,
    "retention": heatdrift.retention,
    "dose": heatdrift.dose,
    "correlation": lambda f: heatdrift.correlation(f, x="cka", y="retention_pct"),
    "frontier": heatdrift.frontier,
    "predictors": lambda f: heatdrift.predictors(f, pl.DataFrame({"cell_id": ["a"], "epoch": [1]})),
    "layers": lambda f: heatdrift.layers(f, pl.DataFrame(schema=dict.fromkeys(LAYER, pl.Float64))),
    "images": lambda f: heatdrift.images(f, {}),
    "power": lambda f: heatdrift.power(f, metric="retention_pct", seeds=5),
    "compare": lambda f: heatdrift.compare(f, f, names=("a", "b")),
}
LAYER = ("cell_id", "epoch", "layer", "metric", "value")


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("columns", [KEYS[2:], KEYS], ids=["least", "keys"])
def test_runs_without_results_are_our_own_error(name, columns, runs):
    with pytest.raises(HeatdriftError):
        QUESTIONS[name](runs.select(columns).to_pandas())


@pytest.mark.parametrize("name", ["paired", "dose", "best", "retention", "interaction", "power"])
def test_runs_with_one_result_and_their_keys_are_enough(name, runs):
    few = runs.select(*KEYS[2:], "retention_pct", "val_acc_pct")
    options = {} if name == "retention" else {"metrics": ["retention_pct"]}
    if name in ("interaction", "power"):
        options = {"metric": "retention_pct", **({"seeds": 5} if name == "power" else {})}
    assert getattr(heatdrift, name)(few, **options).n_runs == runs.height


@pytest.mark.parametrize("name", ["interaction", "power"])
def test_an_unknown_metric_names_the_nearest(name, runs):
    with pytest.raises(UnknownNameError) as refused:
        getattr(heatdrift, name)(runs, metric="retention_pc", **({"seeds": 5} if name == "power" else {}))
    assert "did you mean 'retention_pct'?" in refused.value.hint


def test_categories_become_text():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"])})
    assert as_polars(frame).schema == {"a": pl.String}
