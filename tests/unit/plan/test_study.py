from pathlib import Path

import msgspec
import pytest

from heatdrift.cli.workspace import planned_cells
from heatdrift.config import BackboneSpec, StudySpec
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import family_of
from heatdrift.methods.families.lora import TARGETS, Lora
from heatdrift.model.identity import backbone_depth
from heatdrift.plan.study import builtin_studies, load_study
from heatdrift.records import Cell

STUDY = """
name = "three"
protocol = "leakfree"
backbone = {{ name = "lab" }}
{extra}
[train]
epochs = 2
batch_size = 8
data_seed = 1

[datasets.terrain]
train = "lab:terrain/train"
test = "lab:terrain/test"
sizes = {{ train = 2, val = 1, probe = 1 }}

[grid]
dataset = ["{dataset}"]
method = ["{method}"]
lr = [{lr}]
seed = [7]
"""


def write(tmp_path, *, extra="", dataset="terrain", method="full_ft", lr="1e-4"):
    path = tmp_path / "three.toml"
    path.write_text(STUDY.format(extra=extra, dataset=dataset, method=method, lr=lr))
    return str(path)


def test_every_builtin_study_loads_and_carries_its_own_name():
    assert "demo" in builtin_studies()
    for name in builtin_studies():
        assert load_study(name).name == name


def test_a_users_file_loads(tmp_path):
    study = load_study(write(tmp_path))
    assert isinstance(study, StudySpec)
    assert study.grids[0].lr == (1e-4,)


def test_a_study_may_hold_several_grids(tmp_path):
    path = tmp_path / "two.toml"
    text = STUDY.format(extra="", dataset="terrain", method="full_ft", lr="1e-4").replace("[grid]", "[[grid]]")
    path.write_text(text + '\n[[grid]]\ndataset = ["terrain"]\nmethod = ["lora_r8"]\nlr = [1e-3]\nseed = [7]\n')
    assert [grid.method for grid in load_study(str(path)).grids] == [("full_ft",), ("lora_r8",)]


@pytest.mark.parametrize(
    ("section", "wrong", "nearest"),
    [("[grid]", "sead = [1]", "seed"), ("[train]", "epoch = 3", "epochs"), ("[datasets.terrain]", "sise = 3", "sizes")],
)
def test_an_unknown_key_names_the_nearest_one(tmp_path, section, wrong, nearest):
    path = tmp_path / "wrong.toml"
    text = STUDY.format(extra="", dataset="terrain", method="full_ft", lr="1e-4")
    path.write_text(text.replace(section, f"{section}\n{wrong}"))
    with pytest.raises(StudyError, match=r"wrong\.toml.*unknown field") as caught:
        load_study(str(path))
    assert f"did you mean {nearest!r}" in caught.value.hint


def test_an_unknown_key_at_the_top_is_refused(tmp_path):
    with pytest.raises(StudyError) as caught:
        load_study(write(tmp_path, extra='titel = "x"'))
    assert "did you mean 'title'" in caught.value.hint


@pytest.mark.parametrize("lr", ["-1e-4", "nan", "inf"])
def test_a_learning_rate_must_be_finite_and_not_negative(tmp_path, lr):
    with pytest.raises(StudyError, match="learning rate must be >= 0"):
        load_study(write(tmp_path, lr=lr))


def test_an_unknown_data_set_names_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown data set 'terrane'") as caught:
        load_study(write(tmp_path, dataset="terrane"))
    assert caught.value.nearest == "terrain"


def test_an_unknown_method_names_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown method 'lora_r9'") as caught:
        load_study(write(tmp_path, method="lora_r9"))
    assert caught.value.nearest == "lora_r8"


MY_LORA = """
[methods.my_lora]
kind = "lora"
rank = 4
alpha = 8
targets = ["q", "k", "v", "out", "c_fc", "c_proj"]
blocks = "{blocks}"
"""


def test_a_study_may_define_its_own_methods(tmp_path):
    study = load_study(write(tmp_path, extra=MY_LORA.format(blocks="1-2"), method="my_lora"))
    (cell,) = planned_cells(study, tmp_path)
    assert cell.method == cell.method_spec.name == "my_lora"
    assert family_of(cell.method_spec) == Lora(rank=4, alpha=8.0, targets=tuple(TARGETS), blocks=(1, 2))
    again = msgspec.json.decode(msgspec.json.encode(cell), type=Cell)
    assert (again, again.cell_id) == (cell, cell.cell_id)


def test_a_methods_definition_is_part_of_the_cell_id_and_its_title_is_not(tmp_path):
    def cell_id(extra):
        (cell,) = planned_cells(load_study(write(tmp_path, extra=extra, method="my_lora")), tmp_path)
        return cell.cell_id

    wanted = cell_id(MY_LORA.format(blocks="1-2"))
    assert cell_id(MY_LORA.format(blocks="2,1") + 'title = "Late"') == wanted
    assert cell_id(MY_LORA.format(blocks="1")) != wanted
    assert cell_id(MY_LORA.format(blocks="1-2").replace("rank = 4", "rank = 5")) != wanted
    assert cell_id(MY_LORA.format(blocks="1-2").replace('"lora"', '"dora"')) != wanted


def test_what_is_wrong_with_an_own_method_is_said_with_its_place(tmp_path):
    wrong = MY_LORA.format(blocks="1-2").replace("rank = 4", "rank = 0")
    with pytest.raises(StudyError, match=r"three\.toml: \[methods\.my_lora\] rank must be >= 1, got 0"):
        load_study(write(tmp_path, extra=wrong, method="full_ft"))
    with pytest.raises(UnknownNameError, match="unknown method 'my_loar'") as caught:
        load_study(write(tmp_path, extra=MY_LORA.format(blocks="1-2"), method="my_loar"))
    assert caught.value.nearest == "my_lora"


@pytest.mark.parametrize(
    ("backbone", "blocks", "depth"),
    [
        ('{ name = "lab" }', "0,12", 12),
        ('{ name = "ViT-B-32-quickgelu/openai" }', "6-12", 12),
        ('{ name = "tiny", config = "tiny.json", weights = "tiny.safetensors" }', "3", 3),
    ],
)
def test_blocks_that_the_backbone_does_not_have_are_refused_before_anything_is_built(
    tmp_path, tiny_inputs, backbone, blocks, depth
):
    path = write(tmp_path, extra=MY_LORA.format(blocks=blocks), method="my_lora")
    Path(path).write_text(Path(path).read_text().replace('{ name = "lab" }', backbone))
    with pytest.raises(StudyError, match=f"method my_lora: block {depth} of a backbone that has {depth}") as caught:
        planned_cells(load_study(path), tiny_inputs)
    assert f"its blocks are 0 to {depth - 1}" in caught.value.hint


def test_an_architecture_that_cannot_be_read_does_not_say_how_many_blocks_it_has(tmp_path):
    spec = BackboneSpec(name="own", config="own.json", weights="own.safetensors")
    assert backbone_depth(spec, tmp_path) is None
    for text in ("{", '{"vision_cfg": {"layers": [3, 4]}}', "{}", "[]"):
        (tmp_path / "own.json").write_text(text)
        assert backbone_depth(spec, tmp_path) is None
    (tmp_path / "own.json").write_text('{"model_cfg": {"vision_cfg": {"layers": 7}}}')
    assert backbone_depth(spec, tmp_path) == 7


def test_a_repeated_or_empty_axis_is_refused(tmp_path):
    with pytest.raises(StudyError, match="lr names a value twice"):
        load_study(write(tmp_path, lr="1e-4, 1e-4"))
    with pytest.raises(StudyError, match="lr is empty"):
        load_study(write(tmp_path, lr=""))


def test_broken_toml_and_wrong_types_say_where(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("name = ")
    with pytest.raises(StudyError, match="not valid TOML"):
        load_study(str(path))
    with pytest.raises(StudyError, match=r"Expected `float`.*\$\.grid\.lr"):
        load_study(write(tmp_path, lr='"high"'))


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path):
    with pytest.raises(StudyError, match="there is no study file"):
        load_study(str(tmp_path / "nowhere.toml"))
    with pytest.raises(UnknownNameError) as caught:
        load_study("dmeo")
    assert caught.value.nearest == "demo"


@pytest.mark.parametrize(
    ("protocol", "sizes", "message"),
    [
        ("leakfree", "train = 2, val = 1", "leakfree needs train, val and probe"),
        ("leakfree", "train = 2, val = 0, probe = 1", "leakfree needs train, val and probe"),
        ("leakfree", "train = 2, val = 1, probe = 1, probe_images = 9", "leakfree needs train, val and probe"),
        ("preprint", "train = 2, val = 1, probe = 1", "preprint uses both splits whole"),
        ("preprint", "probe_images = 9, probe = 1", "preprint uses both splits whole"),
    ],
)
def test_sizes_that_the_protocol_would_ignore_are_refused(tmp_path, protocol, sizes, message):
    path = tmp_path / "three.toml"
    text = STUDY.format(extra="", dataset="terrain", method="full_ft", lr="1e-4").replace("leakfree", protocol)
    path.write_text(text.replace("train = 2, val = 1, probe = 1", sizes))
    with pytest.raises(StudyError, match=message):
        load_study(str(path))


def test_the_published_probe_draw_is_refused_where_the_protocol_carves_its_own(tmp_path):
    path = tmp_path / "three.toml"
    text = STUDY.format(extra="", dataset="terrain", method="full_ft", lr="1e-4")
    path.write_text(text.replace("[train]", '[train]\nprobe_draw = "randomstate_42"'))
    with pytest.raises(StudyError, match="probe_draw is for protocol preprint"):
        load_study(str(path))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("resize = 0", "resize must be >= 1"),
        ("crop = -1", "crop must be >= 1"),
        ("resize = 20\ncrop = 32", "resize is 20, less than the crop of 32"),
        ('interpolation = "blurry"', "blurry"),
        ("antialiasing = true", "antialiasing"),
    ],
)
def test_crops_that_cannot_be_made_are_refused(tmp_path, keys, message):
    path = tmp_path / "three.toml"
    text = STUDY.format(extra="", dataset="terrain", method="full_ft", lr="1e-4")
    path.write_text(text.replace("[train]", f"[preprocess]\n{keys}\n\n[train]"))
    with pytest.raises(StudyError, match=message):
        load_study(str(path))


def test_the_same_images_for_training_and_test_are_refused(tmp_path):
    path = tmp_path / "three.toml"
    text = STUDY.format(extra="", dataset="terrain", method="full_ft", lr="1e-4")
    path.write_text(text.replace('test = "lab:terrain/test"', 'test = "lab:terrain/train"'))
    with pytest.raises(StudyError, match="train and test are the same images: lab:terrain/train"):
        load_study(str(path))


@pytest.mark.parametrize(
    ("name", "cells", "protocol"),
    [
        ("preprint80", 80, "preprint"),
        ("leakfree78", 78, "leakfree"),
        ("backbone16", 18, "leakfree"),
        ("mini", 80, "leakfree"),
    ],
)
def test_published_studies_are_planned_without_their_weights_and_images(tmp_path, name, cells, protocol):
    planned = planned_cells(load_study(name), tmp_path)
    assert len(planned) == len({cell.cell_id for cell in planned}) == cells
    assert {cell.protocol for cell in planned} == {protocol}
    assert {cell.recipe.select_on for cell in planned} == {"test" if protocol == "preprint" else "val"}


@pytest.mark.parametrize(
    "line",
    [
        'name = "a\\u001b[31m"',
        'title = "a\\u009b"',
        'backbone = { name = "a\\u0000" }',
        '[transfer."a\\u001b"]\ntest = "lab:shapes/test"',
        '[datasets."a\\u0007"]\ntrain = "lab:a/train"\ntest = "lab:a/test"\nsizes = { train = 2, val = 1, probe = 1 }',
    ],
    ids=["name", "title", "backbone", "transfer", "dataset"],
)
def test_control_characters_in_names_are_refused(tmp_path, line):
    text = Path(write(tmp_path)).read_text()
    key = line.split(" =")[0]
    lines = [kept for kept in text.splitlines() if not (key in ("name", "backbone") and kept.startswith(f"{key} ="))]
    text = "\n".join([*lines, line] if line.startswith("[") else [line, *lines])
    (tmp_path / "evil.toml").write_text(text)
    with pytest.raises(StudyError, match="control character") as caught:
        load_study(str(tmp_path / "evil.toml"))
    assert "\x1b" not in caught.value.message
