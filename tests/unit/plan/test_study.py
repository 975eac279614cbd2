import pytest

from heatdrift.cli.workspace import planned_cells
from heatdrift.config import StudySpec
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.plan.study import builtin_studies, load_study

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
