"""Store, read_runs, train_cell, render_report and compare: what they give, and what they say of what there is not."""

import shutil

import duckdb
import pytest

import heatdrift
from heatdrift.api import shipped
from heatdrift.errors import QueryError, ReportError, StatsError, StoreError, StudyError, UnknownNameError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder that is no clone, with nothing set."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.fixture
def copied(tmp_path):
    """A store that a test may break."""
    return shutil.copy(heatdrift.Store.shipped().path, tmp_path / "own.duckdb")


def test_runs_of_a_store_are_chosen_as_its_command_does():
    runs = heatdrift.read_runs("mini", method=["lora_r8"], seed=[7, 11])
    assert set(runs["method"]) == {"lora_r8"}
    assert runs.height == 2 * 4 * 2
    named = heatdrift.read_runs("mini", store=heatdrift.Store.shipped(), method=["lora_r8"], seed=[7, 11])
    assert named.equals(runs)


def test_metrics_of_a_transfer_set_are_added_by_name():
    runs = heatdrift.read_runs("mini", metrics=["retention_pct@cifar100"])
    assert runs["retention_pct@cifar100"].equals(runs["retention_pct"].rename("retention_pct@cifar100"))


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (heatdrift.read_runs, StoreError, "there is no store at"),
        (lambda: heatdrift.read_runs("mini", store="absent.duckdb"), StoreError, "there is no store at"),
        (lambda: heatdrift.read_runs("mini", dataset=["pet"]), UnknownNameError, "did you mean 'pets'?"),
        (lambda: heatdrift.read_runs("mini", lr=[1.1e-3]), UnknownNameError, "did you mean '0.001'?"),
        (lambda: heatdrift.Store.shipped().view("run"), UnknownNameError, "did you mean 'runs'?"),
        (lambda: heatdrift.Store.shipped().view("runs", study="minni"), UnknownNameError, "did you mean 'mini'?"),
        (lambda: heatdrift.Store.shipped().sql("drop table runs"), QueryError, ""),
        (lambda: heatdrift.Store.shipped().sql("select retention from runs"), QueryError, "retention"),
        (lambda: heatdrift.render_report("mini", formats=["htm"]), UnknownNameError, "did you mean 'html'?"),
        (lambda: heatdrift.render_report("mini", formats=[]), ReportError, "no format"),
        (lambda: heatdrift.render_report("mini", template="papers"), UnknownNameError, "did you mean 'paper'?"),
        (lambda: heatdrift.render_report("mini", metrics=["cka2"]), UnknownNameError, "did you mean 'cka'?"),
        (lambda: heatdrift.render_report("mini", conf_level=95), StatsError, "between 0 and 1"),
        (lambda: heatdrift.compare(heatdrift.read_runs("mini"), heatdrift.read_runs("mini")), StatsError, "names="),
        (lambda: heatdrift.ask_all("minni", store=heatdrift.Store.shipped()), UnknownNameError, "did you mean 'mini'?"),
        (lambda: heatdrift.ask_all("mini", dataset=["pts"]), UnknownNameError, "did you mean 'pets'?"),
        (lambda: heatdrift.ask_all("mini", conf_level=95), StatsError, "between 0 and 1"),
        (lambda: heatdrift.frontier(heatdrift.read_runs("mini"), seed=-1), StatsError, "0 or more"),
        (lambda: heatdrift.correlation(heatdrift.read_runs("mini"), x="cka", y="retention_pct", seed=-1), StatsError,
         "0 or more"),
        (lambda: heatdrift.images(heatdrift.read_runs("mini"), {}, seed=-1), StatsError, "0 or more"),
        (lambda: heatdrift.predictors(heatdrift.read_runs("mini"), heatdrift.Store.shipped().view("epochs"), seed=-1),
         StatsError, "0 or more"),
        (lambda: heatdrift.interaction(heatdrift.read_runs("mini"), metric="cka", bootstrap_seed=-1), StatsError,
         "0 or more"),
        (lambda: heatdrift.load_study("demmo"), UnknownNameError, "did you mean 'demo'?"),
        (lambda: cell(dataset="beetle"), UnknownNameError, "did you mean 'beetles'?"),
        (lambda: cell(method="lora"), UnknownNameError, "did you mean 'lora_r8'?"),
        (lambda: cell(study="absent.toml"), StudyError, "there is no study file"),
    ],
)  # fmt: skip
def test_bad_input_is_our_own_error_with_what_to_do(ask, error, words):
    with pytest.raises(error) as refused:
        ask()
    assert words in f"{refused.value.message} {refused.value.hint}"
    assert isinstance(refused.value, heatdrift.HeatdriftError)


def cell(**changed):
    return heatdrift.train_cell(
        **{"study": "demo", "dataset": "beetles", "method": "lora_r8", "lr": 1e-2, "seed": 7} | changed
    )


def test_a_locked_store_names_who_holds_it(copied):
    with duckdb.connect(copied), pytest.raises(StoreError, match=r"is open (for writing )?in"):
        heatdrift.read_runs("mini", store=copied)


def test_a_newer_store_asks_for_a_newer_heatdrift(copied):
    with duckdb.connect(copied) as connection:
        connection.execute("update raw.migration set version = version + 1000")
    with pytest.raises(StoreError, match="newer than") as refused:
        heatdrift.read_runs("mini", store=copied)
    assert "upgrade" in refused.value.hint


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "runs.duckdb").write_text("retention_pct\n99\n")
    with pytest.raises(StoreError, match="is not a DuckDB database"):
        heatdrift.read_runs(store=tmp_path / "runs.duckdb")


def test_an_installation_without_the_study_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped.resources, "files", lambda _package: tmp_path / "site" / "heatdrift")
    with pytest.raises(StoreError, match="does not hold the study mini"):
        shipped.shipped_records()


def test_a_trained_cell_can_be_read_from_its_store(tiny_inputs, tmp_path):
    store = heatdrift.Store(tmp_path / "own" / "heatdrift.duckdb")
    outcome = heatdrift.train_cell(
        str(tiny_inputs / "study.toml"), dataset="hues", method="full_ft", lr=1e-4, seed=2, store=store
    )
    assert repr(outcome) == "CellOutcome(done: hues, full_ft, lr 0.0001, seed 2; 2 epochs)"
    runs = heatdrift.read_runs("tiny", store=store)
    assert runs["cell_id"].to_list() == [outcome.record.cell_id]
    assert list(store.hits("tiny")) == [outcome.record.cell_id]
