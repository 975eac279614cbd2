import hashlib
import re

import open_clip
import pytest

from heatdrift.data.prompts import TEMPLATES, doubtful, name_caution, templates_of
from heatdrift.errors import DataError, UnknownNameError


def test_openais_templates_are_those_that_open_clip_ships():
    for key, theirs in (
        ("openai/imagenet80", open_clip.OPENAI_IMAGENET_TEMPLATES),
        ("openai/imagenet7", open_clip.SIMPLE_IMAGENET_TEMPLATES),
    ):
        assert list(TEMPLATES[key]) == [template("{}") for template in theirs]


def test_released_templates_do_not_change():
    assert all(len(texts) == int(re.search(r"\d+$", key)[0]) for key, texts in TEMPLATES.items())
    digest = hashlib.sha256(repr(sorted(TEMPLATES.items())).encode()).hexdigest()
    assert digest == "f6b8c89f68e9235bb2e49846412f3e2bc8b7f20771cedeca591ab5bb52ee6f25"
    assert all(len(set(texts)) == len(texts) for texts in TEMPLATES.values())
    assert all(text.count("{}") == 1 and text[-1] in ".!" for texts in TEMPLATES.values() for text in texts)


def test_templates_are_one_several_or_a_list_by_name():
    assert templates_of("a photo of a {}.") == ("a photo of a {}.",)
    assert templates_of(("a {}.", "the {}.")) == ("a {}.", "the {}.")
    assert templates_of("openai/eurosat3")[0] == "a centered satellite photo of {}."
    with pytest.raises(UnknownNameError) as caught:
        templates_of("openai/imagenet")
    assert caught.value.nearest in ("openai/imagenet7", "openai/imagenet80")
    with pytest.raises(DataError, match=r"'a photo' has no \{\}"):
        templates_of(("a {}.", "a photo"))


@pytest.mark.parametrize(
    "name",
    ["class 0", "12", "n01440764", "LABEL_3", "label-7", "c12", "5f3b9c01a2", "123e4567-e89b-12d3-a456-426614174000"],
)
def test_numbers_and_ids_are_no_words(name):
    assert doubtful(name)


@pytest.mark.parametrize("name", ["Boeing 747", "cat", "7 up", "facade", "colour 0", "none", "2CV", "sea lake"])
def test_words_with_a_number_in_them_are_words(name):
    assert not doubtful(name)


def test_a_caution_shows_the_prompt_and_says_what_to_give():
    assert name_caution("other", ("cat", "dog"), "a photo of a {}.") is None
    text = name_caution("other", ("class 0", "class 1"), "a photo of a {}.")
    assert "other: its class names are no words" in text
    assert "'a photo of a class 0.'" in text
    assert 'class_names = "names.csv"' in text
    assert "1 of 2 class names are" in name_caution("x", ("cat", "17"), ("a {}.", "the {}."))
