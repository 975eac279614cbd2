"""``heatdrift init``: the study file that it writes fits the pictures, says why, and trains."""

import json

import pytest
from PIL import Image
from stubs import write_image_parquet
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError, HeatdriftError, StudyError
from heatdrift.plan.study import load_study


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder; commands run there, and no published weights are at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def pictures(folder, counts):
    """Pictures of noise in class folders: split -> class -> number."""
    number = 0
    for split, classes in counts.items():
        for name, n in classes.items():
            for i in range(n):
                path = folder / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                number += 1
                Image.effect_noise((30, 30), 40 + number % 50).convert("RGB").save(path)


def call(*arguments):
    return CliRunner().invoke(app, [*arguments])


def done(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


BIRDS = {"train": {"crow": 9, "snowy_owl": 26}, "val": {"crow": 4, "snowy_owl": 3}}


def test_three_commands_from_a_folder_to_a_run(place):
    pictures(place / "birds", BIRDS)
    said = done("init", "--from", "birds")
    assert "2 classes, 35 pictures (9 in the smallest class), 7 test pictures" in said.stdout
    assert "heatdrift train --all --study study.toml" in said.stderr
    study = load_study("study.toml")
    assert (study.name, study.backbone.name) == ("birds", "lab")
    sizes = study.datasets["birds"].sizes
    assert (sizes.train, sizes.val, sizes.probe) == (7, 1, 1)  # all of the smallest class
    assert study.datasets["birds"].test == "folder:birds/val"
    text = (place / "study.toml").read_text()
    assert "crow, snowy owl" in text
    assert '"a photo of a plain red circle."' in text
    assert "24 cells" in text
    cells = json.loads(done("plan", "--study", "study.toml", "--format", "json").stdout)
    assert len(cells) == 24
    chosen = ("--method", "lora_r8", "--lr", "0.0001", "--seed", "7")
    assert "done in" in done("train", "--study", "study.toml", *chosen, "--jobs", "1").stderr


def test_a_file_that_is_there_is_kept(place):
    pictures(place / "birds", BIRDS)
    (place / "study.toml").write_text("mine")
    error = call("init", "--from", "birds").exception
    assert isinstance(error, StudyError)
    assert "study.toml is there already" in error.message
    assert (place / "study.toml").read_text() == "mine"
    done("init", "--from", "birds", "--out", "runs/second.toml")
    study = load_study("runs/second.toml")
    assert study.name == "second"
    assert study.datasets["birds"].train == "folder:../birds/train"  # relative to the study file


def test_without_pictures_it_is_a_study_of_the_lab(place):
    done("init")
    study = load_study("study.toml")
    assert set(study.datasets) == {"terrain", "beetles"}
    done("plan", "--study", "study.toml")


def test_a_set_with_a_test_split_alone_is_the_transfer_set(place):
    (place / "given").mkdir()
    for name, classes in (("hues_train", 4), ("hues_test", 4), ("signs_test", 5)):
        write_image_parquet(place / "given" / f"{name}.parquet", classes=classes, per_class=8, size=28, seed=classes)
    said = done("init", "--from", "given").stdout
    study = load_study("study.toml")
    assert set(study.datasets) == {"hues"}
    assert study.datasets["hues"].train == "parquet:given/hues_train.parquet"
    assert study.transfer["signs"].test == "parquet:given/signs_test.parquet"
    assert study.transfer["signs"].track == 40
    assert "a test split alone" in said
    done("doctor", "--study", "study.toml")


def test_a_model_of_ones_own_and_a_named_transfer_set(place, tiny_inputs):
    pictures(place / "birds", BIRDS)
    arguments = ("--backbone", str(tiny_inputs / "tiny.json"), "--transfer", str(tiny_inputs / "other.parquet"))
    done("init", "--from", "birds", *arguments)
    study = load_study("study.toml")
    assert study.backbone.weights.endswith("tiny.safetensors")
    assert set(study.transfer) == {"other"}
    assert study.grids[0].lr == load_study("mini").grids[0].lr  # a small tower wants larger ones than CLIP
    done("plan", "--study", "study.toml")


def test_openais_model_is_planned_before_it_is_fetched(place):
    pictures(place / "birds", BIRDS)
    said = done("init", "--from", "birds", "--backbone", "ViT-B-32-quickgelu/openai").stderr
    assert "heatdrift fetch --study study.toml" in said
    study = load_study("study.toml")
    assert study.transfer["cifar100"].class_names == "cifar100/1"
    assert study.grids[0].lr == load_study("leakfree78").grids[0].lr
    done("plan", "--study", "study.toml")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"train": {"crow": 2, "owl": 9}, "val": {"crow": 4, "owl": 3}}, "class 'crow' has 2 images, too few"),
        ({"train": {"crow": 9, "owl": 9}, "val": {"crow": 4, "gull": 3}}, "do not have the same classes"),
    ],
)
def test_what_cannot_be_a_study_is_said_and_nothing_is_written(place, counts, words):
    pictures(place / "birds", counts)
    error = call("init", "--from", "birds").exception
    assert isinstance(error, DataError)
    assert words in error.message
    assert not (place / "study.toml").exists()


def test_class_folders_alone_have_a_test_part_set_aside(place):
    pictures(place, {"birds": {"crow": 10, "owl": 12}})
    done("init", "--from", "birds")
    study = load_study("study.toml")
    assert study.datasets["birds"].test is None
    sizes = study.datasets["birds"].sizes
    assert sizes.train + sizes.val + sizes.probe == 8
    done("plan", "--study", "study.toml")


def test_class_folders_next_to_the_study_file_are_refused(place):
    pictures(place, {".": {"crow": 10, "owl": 12}})
    error = call("init", "--from", ".").exception
    assert isinstance(error, DataError)
    assert "heatdrift init --from" in error.hint


@pytest.mark.parametrize(
    "arguments", [["--backbone", "nothing.json"], ["--backbone", "ViT-B-32/none"], ["--out", "s.yml"]]
)
def test_bad_options_name_the_way_out(place, arguments):
    pictures(place / "birds", BIRDS)
    error = call("init", "--from", "birds", *arguments).exception
    assert isinstance(error, HeatdriftError)
    assert error.hint
    assert not (place / "study.toml").exists()


@pytest.mark.parametrize("name", ['a "b"', "tab\tname", "ä ö", "line\nbreak"])
def test_class_and_folder_names_of_any_kind_make_a_file_that_reads(place, name):
    pictures(place / 'my "birds"', {split: {name: 6, "owl": 6} for split in ("train", "test")})
    done("init", "--from", 'my "birds"')
    assert load_study("study.toml").datasets["my_birds"].train == 'folder:my "birds"/train'
