"""Runs that were really trained: their images are kept, read from their folders, and put onto their page."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.cli.run_arrays import RunArrays
from heatdrift.errors import RecordError
from heatdrift.store.sql import run_sql


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def store(trained, tmp_path):
    """A copy of two really trained runs under this test's folder, made by import."""
    path = tmp_path / "runs" / "heatdrift.duckdb"
    assert call("import", trained, "--format", "heatdrift", "--store", path).exit_code == 0
    return path


def test_trained_runs_say_which_classes_changed(store):
    result = call("stats", "images", "--store", store, "--format", "json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert found["transfer_set"] == "other"
    assert found["n_classes"] > 1
    assert found["n_images"] == 30
    assert len(found["mcnemar"]) >= found["n_runs"] == 2
    assert not any("no classes kept" in text for text in found["left_out"])


def test_a_page_of_trained_runs_has_the_section(store, tmp_path):
    result = call("report", "--html", "--store", store, "--out", tmp_path / "page.html", "--no-images")
    assert result.exception is None, result.exception
    assert 'id="images"' in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_arrays_are_read_when_they_are_asked_for(store):
    runs = run_sql(store, "FROM runs")
    arrays = RunArrays(store.parent, runs, "hits")
    assert set(arrays) == set(runs["cell_id"])
    first, second = runs["cell_id"]
    (store.parent / "tiny" / first / "hits.npz").write_bytes(b"no archive")
    assert arrays[second]["other/base"].dtype == np.bool_
    with pytest.raises(RecordError):
        arrays[first]
    (store.parent / "tiny" / second / "hits.npz").unlink()
    assert list(RunArrays(store.parent, runs, "hits")) == [first]


def test_a_damaged_file_costs_its_run_not_the_answer(store):
    first = run_sql(store, "FROM runs")["cell_id"][0]
    (store.parent / "tiny" / first / "hits.npz").write_bytes(b"no archive")
    found = json.loads(call("stats", "images", "--store", store, "--format", "json").stdout)
    assert found["n_runs"] == 1
    assert any("cannot be read" in text for text in found["left_out"])


def test_a_transfer_set_that_there_is_not_names_those_that_there_are(store):
    error = call("stats", "images", "--transfer", "cifar100", "--store", store).exception
    assert "other" in str(error.hint)
