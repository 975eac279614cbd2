"""The `stats` commands on the archived store: options arrive, three formats, user errors keep their hint."""

import csv
import gzip
import io
import json
from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl
import pytest
from simulated_images import simulated_images
from simulated_study import simulated_study
from typer.testing import CliRunner

import heatdrift
from heatdrift.cli.main import app
from heatdrift.errors import HeatdriftError
from heatdrift.metrics import RUN_COLUMN
from heatdrift.questions import QUESTIONS
from heatdrift.questions.tables import Grid
from heatdrift.store.folder import write_arrays
from heatdrift.store.sql import run_sql

ARCHIVE = Path(__file__).parents[2] / "archives" / "schema0001.duckdb.gz"
# values of the archive are formulas: what a method changes does not vary between seeds, except where noted
ASKED = {
    "interaction": ("--metric", "delta_entropy_pct", "--dataset", "surfaces", "--method", "full_ft"),
    "correlation": ("--bootstrap", 100),
    "dose": ("--metric", "retention_pct"),
    "paired": ("--metric", "retention_pct"),
    "retention": ("--margin", 2),
    "best": ("--metric", "retention_pct"),
    "layers": ("--metric", "entropy"),
    "predictors": ("--bootstrap", 100),
    "frontier": ("--bootstrap", 100),
    "power": ("--seeds", 5, "--dataset", "shapes"),
    "images": ("--bootstrap", 100),
    "factors": ("--metric", "retention_pct"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "heatdrift.duckdb"
    path.write_bytes(gzip.decompress(ARCHIVE.read_bytes()))
    runs = run_sql(path, "FROM runs WHERE status = 'done'").with_columns(pl.col("lr").cast(pl.Float64))
    for cell, arrays in simulated_images(runs).items():  # results of single images lie in the folders of the runs
        write_arrays(path.parent / runs["study"][0] / cell, "hits", arrays)
    return path


def call(store, *arguments):
    return CliRunner().invoke(app, ["stats", *map(str, arguments), "--store", str(store)])


def tables(store, *arguments):
    return answer(store, *arguments, "--verbose")


def answer(store, *arguments):
    result = call(store, *arguments)
    assert result.exception is None, result.exception
    return result.stdout


def test_every_command_is_asked_here():
    assert {question.name for question in QUESTIONS} == set(ASKED)


@pytest.mark.parametrize("name", [n for n in ASKED if n not in ("interaction", "power")])
def test_json_csv_and_table_tell_the_same_run_count(store, name):
    found = json.loads(answer(store, name, *ASKED[name], "--format", "json"))
    assert found["n_runs"] > 0
    table = answer(store, name, *ASKED[name])
    assert "left out: 1 run with status failed" in table or name == "correlation"
    assert "findings" in table
    rows = list(csv.DictReader(io.StringIO(answer(store, name, *ASKED[name], "--format", "csv"))))
    main = {"frontier": "cells", "correlation": None, "factors": "contrasts"}.get(name, "rows")
    if main:
        assert len(rows) == len(found[main])
        # in CSV under the names of their methods; values per learning rate are in JSON alone
        doubled = {"paired": {"mean_a", "mean_b"}, "dose": {"lrs", "means"}}.get(name, set())
        assert set(rows[0]) == set(found[main][0]) - doubled
    assert "NaN" not in str(rows)


def test_an_adjusted_p_of_a_table_names_its_family(store):
    """What Holm's adjustment runs over stands in the title of the table that shows it."""
    found = heatdrift.interaction(simulated_study().runs, metric="retention_pct")
    titles = " ".join(part.title for part in found.shown() if isinstance(part, Grid))
    terms = {test.term for test in found.tests}
    assert f"findings: Holm over {len(terms)} terms of this response (p_box of strata)" in titles
    assert titles.count(f"p_holm: Holm over {len(found.contrasts)} contrasts of this response") == 2
    rows = json.loads(answer(store, "dose", "--format", "json"))["rows"]
    tested = sum(row["p_exact"] is not None for row in rows)
    assert f"p_exact_holm: Holm over {tested} tests by metric, data set and method" in tables(store, "dose")
    rows = json.loads(answer(store, "paired", "--format", "json"))["rows"]
    shown = tables(store, "paired")
    for column, p in (("t_p_holm", "t_p"), ("seed_p_holm", "seed_p")):
        tested = sum(row[p] is not None for row in rows)
        alone = "one test, not adjusted" if tested else "no test, not adjusted"
        family = f"Holm over {tested} tests by metric and data set" if tested > 1 else alone
        assert f"{column}: {family}" in shown
    one = tables(store, "dose", *ASKED["dose"], "--dataset", "shapes", "--method", "lora_r8")
    assert "p_exact_holm: one test, not adjusted" in one
    blocks = json.loads(answer(store, "layers", *ASKED["layers"], "--format", "json"))["rows"]
    sizes = " or ".join(map(str, sorted({r["family"] for r in blocks if r["test"] == "drift" and r["head"] is None})))
    assert f"blocks: mean drift against 0; p_bh, p_by: Benjamini-Hochberg, -Yekutieli over the {sizes} tests" in tables(
        store, "layers", *ASKED["layers"]
    )


def test_signals_have_their_words_and_one_count(store):
    rows = json.loads(answer(store, "predictors", *ASKED["predictors"], "--format", "json"))["rows"]
    final = [row for row in rows if row["when"] == "final"]
    references = sum(row["reference"] for row in final)
    table = tables(store, "predictors", *ASKED["predictors"])
    assert f"{len(final) - references} signals and {references} references at the selected epoch against" in table
    assert "log₁₀ learning rate" in table
    assert "|Δ attention entropy|" in table


def test_the_selection_reaches_the_statistics(store):
    found = json.loads(
        answer(store, "dose", *ASKED["dose"], "--dataset", "shapes", "--method", "lora_r8", "--format", "json")
    )
    (row,) = found["rows"]
    assert (found["datasets"], row["dataset"], row["method"], row["n"]) == (["shapes"], None, "lora_r8", 6)
    fewer = answer(store, "dose", *ASKED["dose"], "--seed", 7, "--seed", 11, "--format", "json")
    assert {r["n_seeds"] for r in json.loads(fewer)["rows"]} == {2}


def test_repeated_metrics_and_other_methods(store):
    found = json.loads(
        answer(
            store, "paired", "--metric", "cka", "--metric", "retention_pct", "--method-a", "full_ft", "--method-b",
            "lora_r8", "--format", "json",
        )
    )  # fmt: skip
    assert {r["metric"] for r in found["rows"]} == {"cka", "retention_pct"}
    assert all(r["difference"] == pytest.approx(r["mean_full_ft"] - r["mean_lora_r8"]) for r in found["rows"])


def test_each_mean_of_a_pair_stands_once_in_csv_under_the_name_of_its_method(store):
    asked = ("--metric", "cka", "--method-a", "full_ft", "--method-b", "lora_r8", "--format")
    (row,) = csv.DictReader(io.StringIO(answer(store, "paired", *asked, "csv", "--dataset", "shapes")))
    (same,) = json.loads(answer(store, "paired", *asked, "json", "--dataset", "shapes"))["rows"]
    assert [name for name in row if name.startswith("mean_")] == ["mean_full_ft", "mean_lora_r8"]
    assert float(row["mean_full_ft"]) == same["mean_full_ft"] == same["mean_a"]
    assert float(row["mean_lora_r8"]) == same["mean_lora_r8"] == same["mean_b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("paired", "--metric", "retention_pct", "--equivalence", 2, -2), "below its upper end"),
        (("paired", "--metric", "retention_pct", "--equivalence", 1, 2), "holds 0"),
        (("paired", "--metric", "retention_pct", "--metric", "cka", "--equivalence", -1, 1), "different units"),
        (("retention", "--margin", 0), "must be above 0"),
        (("power", "--seeds", 3, "--difference", 0), "no number of seeds"),
        (("paired", "--metric", "retention"), "unknown metric 'retention'"),
        (("dose", "--dataset", "pets"), "unknown dataset 'pets'"),
        (("layers", "--metric", "rollout_entropy"), "unknown metric 'rollout_entropy'"),
        (("layers", "--seed", 7), "one seed"),
        (("power", "--seeds", 5), "does not vary between seeds"),
        (("predictors", "--dataset", "shapes", "--method", "lora_r8"), "fewer than three cells"),
        (("frontier", "--study", "nope"), "unknown study 'nope'"),
    ],
)
def test_what_the_user_can_correct(store, arguments, words):
    result = call(store, *arguments)
    assert isinstance(result.exception, HeatdriftError)
    assert words in result.exception.message
    assert result.exception.hint
    assert result.stdout == ""


def test_numbers_out_of_range_are_refused_by_the_option(store):
    for arguments in (("power", "--seeds", 1), ("predictors", "--margin", -1), ("frontier", "--bootstrap", 5)):
        assert call(store, *arguments).exit_code == 2


def test_a_learning_rate_is_compared_by_its_size_not_its_spelling(store):
    with closing(duckdb.connect(str(store), read_only=True)) as connection:
        lrs = [row[0] for row in connection.execute("select distinct lr from runs").fetchall()]
    assert max(lrs) < 3e-3
    result = call(store, "dose", *ASKED["dose"], "--lr", "3e-3")
    assert isinstance(result.exception, HeatdriftError)
    assert result.exception.nearest == str(max(lrs))
    assert f"did you mean '{max(lrs)}'" in result.exception.hint


def test_statistics_can_be_asked_about_columns_that_the_view_has(store):
    answer(store, "dose", *ASKED["dose"])  # the first command makes the views of a store of an earlier list again
    with closing(duckdb.connect(str(store), read_only=True)) as connection:
        view = {row[0] for row in connection.execute("describe runs").fetchall()}
    drifts = {name for name in view if name.startswith("delta_") and name.endswith("_pct")}
    assert drifts | {"cka_debiased_last"} <= set(RUN_COLUMN) <= view


def test_every_result_names_its_study(store):
    for name, arguments in ASKED.items():
        if name not in ("interaction", "power"):
            found = json.loads(answer(store, name, *arguments, "--format", "json"))
            assert found["study"], name
            assert found["method"], name
            assert found["conf_level"] == 0.95, name


def test_titles_name_the_direction_and_the_unit_once(store):
    assert "lora_r8 - full_ft, over pairs" in tables(store, "paired", *ASKED["paired"])
    shown = tables(store, "correlation", *ASKED["correlation"])
    assert shown.count("seed 0") == 1


def test_a_selection_among_one_candidate_is_not_shown_but_a_wider_margin_is_offered(store):
    narrow = ("predictors", *ASKED["predictors"], "--margin", 0)
    found = json.loads(answer(store, *narrow, "--format", "json"))
    assert {row["n_candidates"] for row in found["selection"]} == {1}
    shown = answer(store, *narrow)
    assert "selection by the signal" not in shown
    assert "--margin 10" in shown
