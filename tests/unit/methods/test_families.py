"""Every module of heatdrift/methods/families keeps the rules of a family; tests/family_rules.py says them."""

import importlib
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import ClassVar

import family_rules as rules
import msgspec
import pytest

from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import BUILT_IN, FAMILIES, METHOD_TITLES, METHODS, Method, family_of, known_family, method
from heatdrift.methods.base import Family, OwnWeights
from heatdrift.methods.docs_page import attribute_words
from heatdrift.methods.families.bitfit import BitFit
from heatdrift.methods.families.dora import Dora
from heatdrift.methods.families.full import Full
from heatdrift.methods.families.lora import TARGETS, Lora
from heatdrift.methods.families.partial import Partial
from heatdrift.methods.registry import found_families

# Parameters beside the built-in ones; a family is tested with them all.
OTHERS = (
    Full(projection=False),
    Partial(tower="none", projection=True),
    Lora(rank=1, alpha=3.0, targets=tuple(TARGETS), blocks="1-2", projection=False),
    Dora(rank=2, targets=("k", "out", "c_fc", "c_proj"), blocks=(0,), projection=False),
    BitFit(blocks="0,2"),
)
FAMILY_CASES = [*(entry.family for entry in BUILT_IN.values()), *OTHERS]


def title(family):
    return f"{family.kind}: {family.title()}"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_complete_and_has_a_case_here(family):
    rules.check_complete(family)
    assert any(type(case) is family for case in FAMILY_CASES)
    assert {entry.name for entry in family.built_in()} <= METHODS.keys()


@pytest.mark.parametrize("family", FAMILY_CASES, ids=title)
def test_switched_off_it_is_the_base_and_on_again_what_was_trained(family, backbone, pixels):
    rules.check_switches_off(family, backbone.visual, pixels)


@pytest.mark.parametrize("family", FAMILY_CASES, ids=title)
def test_merged_it_embeds_as_it_does_unmerged(family, backbone, pixels):
    rules.check_merges(family, backbone.visual, pixels)


@pytest.mark.parametrize("family", FAMILY_CASES, ids=title)
def test_what_is_stored_is_read_again(family):
    stored = family.stored("mine")
    text = msgspec.json.encode(stored)
    assert family_of(msgspec.json.decode(text, type=Method)) == family == family_of(stored)
    assert msgspec.json.decode(text, type=Method) == stored
    assert type(family_of(stored)) is type(family)


def test_titles_tell_methods_apart_and_names_and_places_are_taken_once():
    titles = [case.title() for case in FAMILY_CASES]
    assert len(set(titles)) == len(titles)
    entries = [entry for family in FAMILIES.values() for entry in family.built_in()]
    assert len(BUILT_IN) == len({entry.place for entry in entries}) == len(entries)
    assert sorted(entry.place for entry in entries) == list(range(1, len(entries) + 1))
    assert list(METHODS) == list(METHOD_TITLES) == [entry.name for entry in sorted(entries, key=lambda e: e.place)]


def test_the_five_old_methods_stand_as_in_records_of_the_first_format():
    lora = {"rank": 8, "alpha": 16.0, "dropout": 0.05, "targets": ("q_proj", "v_proj")}
    old = {
        "full_ft": {"tower": "all", "projection": True, "lora": None},
        "lora_r8": {"tower": "none", "projection": True, "lora": lora},
        "lora_r8_frozen_proj": {"tower": "none", "projection": False, "lora": lora},
        "last_block": {"tower": "last_block", "projection": False, "lora": None},
        "linear_probe": {"tower": "none", "projection": False, "lora": None},
    }
    assert {name: msgspec.to_builtins(METHODS[name]) for name in old} == {n: {"name": n, **w} for n, w in old.items()}


def test_a_family_without_switching_off_breaks_the_rule_that_says_so():
    @dataclass(frozen=True, kw_only=True)
    class Sticky(Family):
        """Cannot be switched off."""

        kind: ClassVar[str] = "sticky"

    with pytest.raises(AssertionError, match="a family must be able to be switched off: Sticky has no switched_off"):
        rules.check_complete(Sticky)
    with pytest.raises(TypeError, match="switched_off"):
        Sticky()


def test_a_family_that_stays_on_breaks_the_rule_that_says_so(backbone, pixels):
    class StaysOn(Full):
        @contextmanager
        def switched_off(self, tower, base):
            yield

    with pytest.raises(AssertionError, match=r"a family must be able to be switched off: .* differs from the base by"):
        rules.check_switches_off(StaysOn(), backbone.visual, pixels)


def test_a_family_that_does_not_come_back_breaks_the_rule_that_says_so(backbone, pixels):
    class Forgets(Full):
        @contextmanager
        def switched_off(self, tower, base):
            tower.load_state_dict(base.state_dict())
            yield

    with pytest.raises(AssertionError, match="come back exactly as it was"):
        rules.check_switches_off(Forgets(), backbone.visual, pixels)


ONE_FILE = '''
from dataclasses import dataclass
from typing import ClassVar

from heatdrift.methods.base import BuiltIn, Description, OwnWeights


@dataclass(frozen=True, kw_only=True)
class Norms(OwnWeights):
    """Layer norms alone."""

    kind: ClassVar[str] = "norms"
    last: bool = False

    @classmethod
    def built_in(cls):
        return (BuiltIn("layer_norms", 9, cls()),)

    def title(self):
        return "Layer norms" + (", the last alone" if self.last else "")

    def description(self):
        return Description(tower="layer norms", projection=False)

    def put_on(self, tower, seed):
        for name, parameter in tower.named_parameters():
            parameter.requires_grad = "ln_post." in name if self.last else "ln_" in name
'''


def test_one_more_family_is_one_more_file(tmp_path, monkeypatch, backbone, pixels):
    package = tmp_path / "more_families"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "norms.py").write_text(ONE_FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    (family,) = found_families(importlib.import_module("more_families"))
    rules.check_complete(family)
    for case in (family(), family(last=True)):
        rules.check_switches_off(case, backbone.visual, pixels)
        rules.check_merges(case, backbone.visual, pixels)
        assert family.read(case.stored("mine")) == case
    (package / "empty.py").write_text("")
    with pytest.raises(AssertionError, match="must define one family"):
        list(found_families(importlib.import_module("more_families")))


def test_own_weights_need_no_more_than_what_is_trained_and_words():
    assert set(OwnWeights.__abstractmethods__) == {"built_in", "title", "description", "put_on"}
    assert set(Family.__abstractmethods__) - set(OwnWeights.__abstractmethods__) == {
        "switched_off",
        "updates",
        "merged",
    }


def test_a_family_that_is_not_here_is_named_and_pages_go_on_without_it():
    strange = Method(name="vera_r8", kind="vera", parameters={"rank": 8})
    with pytest.raises(UnknownNameError, match="unknown kind of method 'vera'"):
        family_of(strange)
    assert known_family(strange) is None
    assert known_family(Method(name="x", kind="dora", parameters={"rank": 0})) is None
    assert known_family(Method(name="x", kind="dora", parameters={"rank": "eight"})) is None
    with pytest.raises(UnknownNameError, match="unknown method"):
        method("lora_r9")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rank": 0}, "rank must be >= 1, got 0"),
        ({"alpha": 0.0}, "alpha must be > 0"),
        ({"dropout": 1.0}, "dropout must be >= 0 and < 1"),
        ({"targets": ()}, "targets is empty"),
        ({"blocks": "7-6"}, "'7-6' names no block"),
        ({"blocks": ()}, "names no block"),
        ({"blocks": -1}, "names no block"),
        ({"blocks": "six"}, "'six' names no block"),
    ],
)
@pytest.mark.parametrize("family", [Lora, Dora])
def test_parameters_that_mean_nothing_are_refused(family, wrong, words):
    with pytest.raises(StudyError, match=words) as caught:
        family(**wrong)
    assert caught.value.hint


def test_however_parameters_are_written_the_method_is_the_same():
    written = ("6-8", "8,6,7", "6, 7-8", (8, 7, 6, 6))
    assert {Lora(blocks=blocks) for blocks in written} == {Lora(blocks=(6, 7, 8))}
    assert Lora(targets=("v", "q")) == Lora()
    assert Lora(blocks=5) == Lora(blocks="5")


def test_families_are_known_and_described_without_torch():
    code = (
        "import sys\nfrom heatdrift.methods import BUILT_IN\n"
        "for entry in BUILT_IN.values():\n    entry.family.description(), entry.family.stored(entry.family.title())\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_parameters_are_plain_and_have_defaults(family):
    """A study file may name the kind alone."""
    assert family() == family(**{field.name: field.default for field in fields(family)})
    assert attribute_words(family).keys() >= {field.name for field in fields(family)}, "docs/methods.md names them all"
