"""``--study`` means the same everywhere: a study of the store, a study file, a built-in study."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import StoreError, StudyError, UnknownNameError


@pytest.fixture
def place(tmp_path, tiny_inputs, trained, monkeypatch):
    """A folder with the tiny study's file and images, and a store with two of its 24 runs; commands run there."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def counts(*arguments):
    result = call("status", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return {row["study"]: (row["planned"], row["done"], row["missing"]) for row in json.loads(result.stdout)}


@pytest.mark.parametrize(("study", "cells"), [("tiny", (2, 2, 0)), ("study.toml", (24, 2, 22))])
def test_a_stored_study_by_name_or_by_its_file(place, study, cells):
    assert counts("--study", study) == {"tiny": cells}
    asked = call("stats", "power", "--metric", "delta_entropy_pct", "--study", study)
    assert "no two methods to compare" in asked.exception.message  # the study is found, two runs bear no statistics
    exported = call("export", "--to", place / f"of-{study}", "--study", study)
    assert "2 runs" in exported.stdout


@pytest.mark.parametrize(("study", "name", "cells"), [("preprint80", "preprint80", 80), ("study.toml", "fresh", 24)])
def test_status_of_a_study_that_was_not_started_says_the_plan(place, study, name, cells):
    (place / "study.toml").write_text((place / "study.toml").read_text().replace('"tiny"', '"fresh"', 1))
    for image_file in place.glob("*.parquet"):
        image_file.unlink()  # counting needs no images
    assert counts("--study", study) == {name: (cells, 0, cells)}
    said = call("status", "--study", study).stderr
    assert f"heatdrift train --all --study {study}" in said


def edit(place, before, after):
    text = (place / "study.toml").read_text()
    assert before in text
    (place / "study.toml").write_text(text.replace(before, after))


def keep_plan(place):
    """As training does, of the file as it is now."""
    from heatdrift.cli.workspace import Workspace, planned_cells
    from heatdrift.plan.study import load_study

    study = load_study("study.toml")
    Workspace.of(None).keep_plan(study, planned_cells(study, place), "study.toml")


def test_status_follows_an_edited_file(place):
    keep_plan(place)
    edit(place, "seed = [1, 2, 3]", "seed = [1, 2, 3, 4]")
    assert counts("--study", "study.toml") == {"tiny": (32, 2, 30)}  # the fourth seed is missing, not unknown
    assert counts("--study", "tiny") == {"tiny": (24, 2, 22)}  # as it was trained
    rows = json.loads(call("status", "--study", "study.toml", "--cells", "--format", "json").stdout)
    assert {row["status"] for row in rows if row["seed"] == 4} == {"planned"}
    said = call("status", "--study", "study.toml").stderr
    assert "30 of 32 cells are left; to go on: heatdrift train --all --study study.toml" in said


def test_status_follows_the_file_of_the_settings(place):
    keep_plan(place)
    edit(place, "seed = [1, 2, 3]", "seed = [1, 2, 3, 4]")
    (place / "heatdrift.toml").write_text('study = "study.toml"')
    assert counts() == {"tiny": (32, 2, 30)}


def test_status_says_which_runs_the_file_has_no_more(place):
    keep_plan(place)
    edit(place, "seed = [1, 2, 3]", "seed = [2, 3]")
    assert counts("--study", "study.toml") == {"tiny": (16, 1, 15)}
    assert "1 run of study tiny is not in study.toml" in call("status", "--study", "study.toml").stderr


def test_status_without_the_images_shows_the_plan_as_it_was_kept(place):
    keep_plan(place)
    edit(place, "seed = [1, 2, 3]", "seed = [1, 2, 3, 4]")
    (place / "hues_train.parquet").unlink()
    assert counts("--study", "study.toml") == {"tiny": (24, 2, 22)}
    said = call("status", "--study", "study.toml").stderr
    assert "hues_train.parquet" in said
    assert "as training kept it" in said


def test_status_in_an_empty_folder_says_the_plan_of_the_named_study(place):
    shutil.rmtree(place / "runs")
    assert counts("--study", "demo") == {"demo": (80, 0, 80)}
    assert isinstance(call("status").exception, StoreError)


def test_statistics_of_a_study_without_runs_name_the_command(place):
    error = call("stats", "paired", "--study", "preprint80").exception
    assert isinstance(error, StoreError)
    assert error.message == "the store has no runs of study preprint80 (it has tiny)"
    assert error.hint == "heatdrift train --all --study preprint80"


@pytest.mark.parametrize("command", [("status",), ("stats", "paired"), ("report",), ("export", "--to", "x")])
@pytest.mark.parametrize(("wrong", "meant"), [("tinny", "tiny"), ("preprint8", "preprint80")])
def test_an_unknown_name_is_compared_with_stored_and_built_in_ones(place, command, wrong, meant):
    error = call(*command, "--study", wrong).exception
    assert isinstance(error, UnknownNameError)
    assert f"did you mean '{meant}'?" in error.hint
    assert "tiny" in error.hint
    assert "preprint80" in error.hint


def test_a_study_file_that_is_not_there(place):
    error = call("status", "--study", "stduy.toml").exception
    assert isinstance(error, StudyError)
    assert "stduy.toml" in error.message


def test_the_study_of_heatdrift_toml_is_the_default_of_every_command(place):
    (place / "heatdrift.toml").write_text('study = "demo"\n')
    error = call("stats", "paired").exception
    assert error.message == "the store has no runs of study demo (it has tiny)"
    assert counts() == {"demo": (80, 0, 80), "tiny": (2, 2, 0)}


def test_a_trained_study_is_planned_by_its_name(place):
    assert call("train", "--study", "study.toml", "--lr", "1e-4", "--seed", "1", "--jobs", "1").exit_code == 0
    by_name, by_file = (call("plan", "--study", s, "--format", "json").stdout for s in ("tiny", "study.toml"))
    assert json.loads(by_name) == json.loads(by_file)
    (place / "study.toml").rename(place / "moved.toml")
    error = call("plan", "--study", "tiny").exception
    assert isinstance(error, StudyError)
    assert "study.toml" in error.message
    assert "--study FILE.toml" in error.hint


def test_a_question_by_name_takes_the_study(place):
    asked = json.loads(call("sql", "--name", "time_spent", "--study", "study.toml", "--format", "json").stdout)
    assert [row["study"] for row in asked] == ["tiny"]
    asked = call(
        "sql", "select count(*) n from runs where study = $study", "--study", "tiny", "--format", "json"
    ).stdout
    assert json.loads(asked) == [{"n": 2}]
    error = call("sql", "select 1", "--study", "tiny").exception
    assert "$study" in error.hint
