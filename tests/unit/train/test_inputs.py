"""What cannot be split as the study asks is said before anything trains, with data set, class and key."""

import msgspec
import pytest

from heatdrift.errors import DataError, ModelError
from heatdrift.plan.study import load_study
from heatdrift.train.inputs import check_inputs


@pytest.fixture
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


def changed(study, **sizes):
    """The study with other sizes for hues, whose four classes have 16 images each."""
    hues = study.datasets["hues"]
    other = msgspec.structs.replace(hues, sizes=msgspec.structs.replace(hues.sizes, **sizes))
    return msgspec.structs.replace(study, datasets={**study.datasets, "hues": other})


def test_inputs_that_fit_pass(study, tiny_inputs):
    check_inputs(study, tiny_inputs, ["stripes", "hues"])


def test_a_class_with_too_few_images_is_named_with_the_key(study, tiny_inputs):
    with pytest.raises(DataError) as caught:
        check_inputs(changed(study, train=10), tiny_inputs, ["stripes", "hues"])
    assert "data set 'hues'" in caught.value.message
    assert "parquet:hues_train.parquet" in caught.value.message
    assert "class 'colour 0' has 16 images" in caught.value.message
    assert "[datasets.hues] sizes asks for 17 per class (train 10 + val 4 + probe 3)" in caught.value.message
    assert "3 more classes" in caught.value.message
    assert "lower train, val or probe in [datasets.hues] sizes" in caught.value.hint


def test_data_sets_that_no_chosen_cell_uses_are_not_asked_for(study, tiny_inputs):
    check_inputs(changed(study, train=10), tiny_inputs, ["stripes"])


@pytest.mark.parametrize(("key", "n"), [("n_images", 31), ("track", 31)])
def test_a_transfer_set_that_is_too_small(study, tiny_inputs, key, n):
    other = msgspec.structs.replace(study.transfer["other"], **{key: n})
    with pytest.raises(DataError) as caught:
        check_inputs(msgspec.structs.replace(study, transfer={"other": other}), tiny_inputs, ["stripes"])
    assert "transfer set 'other'" in caught.value.message
    assert "31 images asked for, 30 are there" in caught.value.message
    assert f"lower {key} in [transfer.other]" in caught.value.hint


def test_the_probe_set_of_the_preprint(study, tiny_inputs):
    preprint = msgspec.structs.replace(
        changed(study, train=None, val=None, probe=None, probe_images=25), protocol="preprint"
    )
    with pytest.raises(DataError, match=r"data set 'hues'.*probe_images is 25, the test split has 24 images"):
        check_inputs(preprint, tiny_inputs, ["hues"])


def test_missing_weights_and_images_are_said_first(study, tmp_path, tiny_inputs):
    with pytest.raises(ModelError, match=r"tiny\.json"):
        check_inputs(study, tmp_path, ["stripes"])
    for name in ("tiny.json", "tiny.safetensors"):
        (tmp_path / name).write_bytes((tiny_inputs / name).read_bytes())
    with pytest.raises(DataError, match=r"stripes_train\.parquet"):
        check_inputs(study, tmp_path, ["stripes"])
