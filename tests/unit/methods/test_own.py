"""Methods of a study file: what they may say, what is refused, and what they are called."""

import contextvars

import pytest

from heatdrift.errors import StudyError
from heatdrift.methods import (
    METHOD_TITLES,
    METHODS,
    all_titles,
    family_of,
    method_title,
    own_titles,
    study_methods,
    use_titles,
)
from heatdrift.methods.families.lora import TARGETS, Lora

MY_LORA = {"kind": "lora", "rank": 4, "alpha": 8, "targets": [*TARGETS], "blocks": "6-11"}


def test_a_table_is_a_method_of_its_family():
    methods = study_methods({"my_lora": MY_LORA})
    assert methods.keys() == METHODS.keys() | {"my_lora"}
    assert methods["my_lora"].name == "my_lora"
    wanted = Lora(rank=4, alpha=8.0, targets=tuple(TARGETS), blocks=(6, 7, 8, 9, 10, 11))
    assert family_of(methods["my_lora"]) == wanted
    assert wanted.title() == "LoRA r=4 on all linear layers, blocks 6-11"


def test_all_that_is_trained_is_part_of_the_method_and_a_title_is_not():
    plain = study_methods({"a": {"kind": "lora"}})["a"]
    assert study_methods({"a": {"kind": "lora", "title": "Mine"}})["a"] == plain
    others = [
        {"rank": 9}, {"alpha": 9}, {"dropout": 0.0}, {"targets": ["q"]}, {"blocks": [0]}, {"projection": False},
    ]  # fmt: skip
    made = [study_methods({"a": {"kind": "lora", **changed}})["a"] for changed in others]
    assert all(m != plain for m in made)
    assert len({family_of(m).title() for m in made}) == len(made)
    assert study_methods({"a": {"kind": "dora"}})["a"] != plain


@pytest.mark.parametrize(
    ("name", "table", "words", "hint"),
    [
        ("lora_r8", MY_LORA, r"\[methods.lora_r8\] is the name of a built-in method", "another name"),
        ("bitfit", {"kind": "bitfit"}, "is the name of a built-in method", "another name"),
        ("a/b", MY_LORA, "is no name for a method", "letters, digits"),
        ("mine", {"rank": 4}, "has no kind", "known kinds: bitfit, distill, dora, full, l2sp, lora, partial"),
        ("mine", {"kind": "lroa"}, "unknown kind 'lroa'", "did you mean 'lora'"),
        ("mine", {**MY_LORA, "rnak": 4}, "unknown key 'rnak'", "did you mean 'rank'"),
        ("mine", {"kind": "bitfit", "rank": 4}, "unknown key 'rank'", "known keys of bitfit: kind, title, blocks"),
        ("mine", {**MY_LORA, "rank": 0}, "rank must be >= 1, got 0", "rank = 8"),
        ("mine", {**MY_LORA, "rank": "4"}, r"Expected `int`, got `str` - at `\$.rank`", "without quotes"),
        ("mine", {**MY_LORA, "rank": True}, "Expected `int`, got `bool`", "without quotes"),
        ("mine", {**MY_LORA, "targets": ["q", "c_fcc"]}, "unknown target 'c_fcc'", "did you mean 'c_fc'"),
        ("mine", {**MY_LORA, "targets": []}, "targets is empty", "q, k, v, out, c_fc, c_proj"),
        ("mine", {**MY_LORA, "blocks": "11-6"}, "'11-6' names no block", '"6-11"'),
        ("mine", {**MY_LORA, "title": ""}, "title must be words", "leave it out"),
        ("mine", {**MY_LORA, "title": 3}, "title must be words", "leave it out"),
        ("mine", {"kind": "partial", "tower": "first_block"}, "Invalid enum value 'first_block'", ""),
    ],
)
def test_what_a_table_cannot_say_is_refused(name, table, words, hint):
    with pytest.raises(StudyError, match=words) as caught:
        study_methods({name: table}, "mine.toml")
    assert caught.value.message.startswith(f"mine.toml: [methods.{name}]")
    assert hint in caught.value.hint


def test_own_methods_are_called_by_their_words_where_their_runs_are_read():
    def titled():
        methods = study_methods({"late": MY_LORA, "named": {"kind": "dora"}})
        use_titles([(methods["late"], None), (methods["named"], "DoRA as published"), (methods["lora_r8"], "renamed")])
        return method_title("late"), method_title("named"), method_title("lora_r8"), all_titles()

    late, named, built_in, everything = contextvars.copy_context().run(titled)
    assert (late, named) == ("LoRA r=4 on all linear layers, blocks 6-11", "DoRA as published")
    assert built_in == METHOD_TITLES["lora_r8"]
    assert everything == METHOD_TITLES | {"late": late, "named": named}
    assert (method_title("late"), all_titles()) == ("late", METHOD_TITLES)  # elsewhere nothing is known of it


def test_a_name_that_means_two_things_is_called_by_itself():
    def titled():
        use_titles([(study_methods({"mine": {"kind": kind}})["mine"], None) for kind in ("dora", "bitfit")])
        return method_title("mine")

    assert contextvars.copy_context().run(titled) == "mine"


def test_given_titles():
    assert own_titles({"a": {"kind": "lora", "title": "A"}, "b": {"kind": "lora"}}) == {"a": "A"}
