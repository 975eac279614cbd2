"""The table of the author's settings: held to the study file and to the code, not to what it says of itself."""

import json
import math
import re

import msgspec
import pytest
from typer.testing import CliRunner

from heatdrift.cli.author_settings import COMMITS, PREPRINT80, Planned
from heatdrift.cli.main import app
from heatdrift.cli.workspace import planned_cells
from heatdrift.crop_plan import CropPlan
from heatdrift.errors import UnknownNameError
from heatdrift.model import adapt
from heatdrift.plan.study import load_study
from heatdrift.train import loop, step

NOT_OURS = {  # each stands in docs/published.md, "What is not as published"
    "training arithmetic",
    "random draws of a run",
    "standard deviation over seeds",
}


def different(tmp_path, study):
    plan = Planned(study, planned_cells(study, tmp_path))
    return {setting.name for setting in PREPRINT80 if setting.ours(plan) != setting.author}


def changed(study, part, **values):
    return msgspec.structs.replace(study, **{part: msgspec.structs.replace(getattr(study, part), **values)})


def test_the_shipped_study_has_the_authors_settings_but_for_what_is_named(tmp_path):
    assert different(tmp_path, load_study("preprint80")) == NOT_OURS


@pytest.mark.parametrize(
    ("part", "values", "name"),
    [
        ("preprocess", {"interpolation": None}, "crops"),
        ("preprocess", {"antialias": False}, "crops"),
        ("preprocess", {"resize": 256}, "crops"),
        ("backbone", {"name": "ViT-B-16-quickgelu/openai"}, "backbone"),
        ("train", {"classifier_init": "normal"}, "classifier at the start"),
        ("train", {"warmup": "above_zero"}, "learning rate by step"),
        ("train", {"warmup_fraction": 0.1}, "learning rate by step"),
        ("train", {"probe_draw": "data_seed"}, "probe images"),
        ("train", {"loss_mean": "images"}, "training loss of an epoch"),
        ("train", {"batch_size": 32}, "batch"),
        ("train", {"weight_decay": 0.1}, "optimiser"),
        ("train", {"clip_norm": 2.0}, "gradient norm limit"),
        ("train", {"epochs": 19}, "epochs"),
    ],
)
def test_a_change_of_the_study_shows_in_its_row(tmp_path, part, values, name):
    study = load_study("preprint80")
    assert different(tmp_path, changed(study, part, **values)) == NOT_OURS | {name}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"template": "a photo of a {}."}, "prompt"),
        ({"underscores": False}, "class names in prompts"),
        ({"class_names": "cifar100/1"}, "class names in prompts"),
        ({"test": "torchvision:CIFAR100/test"}, "transfer set"),
    ],
)
def test_a_change_of_the_transfer_set_shows_in_its_row(tmp_path, values, name):
    study = load_study("preprint80")
    transfer = {"cifar100": msgspec.structs.replace(study.transfer["cifar100"], **values)}
    assert different(tmp_path, msgspec.structs.replace(study, transfer=transfer)) == NOT_OURS | {name}


@pytest.mark.parametrize(
    ("axis", "values", "name"), [("lr", (1e-6, 1e-4), "learning rates"), ("seed", (1, 2), "seeds")]
)
def test_a_change_of_the_grid_shows_in_its_row(tmp_path, axis, values, name):
    study = load_study("preprint80")
    grid = msgspec.structs.replace(study.grid, **{axis: values})
    assert different(tmp_path, msgspec.structs.replace(study, grid=grid)) == NOT_OURS | {name}


@pytest.mark.parametrize(
    ("module", "constant", "value", "name"),
    [
        (step, "BETAS", (0.8, 0.999), "optimiser"),
        (loop, "FLIPPED", 0.25, "augmentation"),
    ],
)
def test_a_change_of_the_code_shows_in_its_row(tmp_path, monkeypatch, module, constant, value, name):
    monkeypatch.setattr(module, constant, value)
    assert different(tmp_path, load_study("preprint80")) == NOT_OURS | {name}


def test_the_default_classifier_is_told_from_the_code(tmp_path, monkeypatch):
    study = changed(load_study("preprint80"), "train", classifier_init="normal")
    monkeypatch.setattr(adapt, "CLASSIFIER_STD", 0.5)
    plan = Planned(study, planned_cells(study, tmp_path))
    (row,) = (setting for setting in PREPRINT80 if setting.name == "classifier at the start")
    assert row.ours(plan) == "N(0, 0.5), bias 0"


def test_crops_of_a_study_are_those_of_the_authors_transform(tmp_path):
    plan = Planned(study := load_study("preprint80"), planned_cells(study, tmp_path))
    assert plan.cell.preprocess == CropPlan(interpolation="bilinear")


def test_every_place_is_in_a_file_whose_commit_is_named():
    for setting in PREPRINT80:
        files = re.findall(r"[\w/]+\.py", setting.where)
        assert re.search(r"\.py:\d+", setting.where), setting
        assert set(files) <= set(COMMITS), setting
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in COMMITS.values())
    assert len({setting.name for setting in PREPRINT80}) == len(PREPRINT80)


def test_the_command_prints_all_rows_and_says_what_differs():
    result = CliRunner().invoke(app, ["verify-protocol", "preprint80", "--format", "json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["setting"] for row in rows] == [setting.name for setting in PREPRINT80]
    assert {row["setting"] for row in rows if row["equal"] == "no"} == NOT_OURS
    assert f"{len(PREPRINT80) - len(NOT_OURS)} of {len(PREPRINT80)} settings are the author's" in result.stderr


def test_a_study_without_public_code_is_refused():
    with pytest.raises(UnknownNameError, match="mini"):
        CliRunner().invoke(app, ["verify-protocol", "mini"], catch_exceptions=False)


def test_the_steps_shown_are_those_of_eurosat():
    """21,600 training images in batches of 64, 20 epochs."""
    (row,) = (setting for setting in PREPRINT80 if setting.name == "learning rate by step")
    assert row.author.endswith(f"of {20 * math.ceil(21_600 / 64)}")
