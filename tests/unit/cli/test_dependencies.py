"""The list of dependencies and the lock name what pyproject.toml names; versions may be any."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from heatdrift.cli import dependencies

ROOT = Path(__file__).resolve().parents[3]
NAMED = dependencies.direct(ROOT)
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def test_every_dependency_and_extra_is_listed_with_its_reason_and_none_that_is_gone():
    first, second = PAGE.split("## What these bring along")
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (everybody|extra `[\w-]+`) \| ([^|]+) \| ([^|]+) \|$", first, re.MULTILINE)
    assert [(name, by) for name, by, _, _ in rows] == [
        (one.name, f"extra `{one.extra}`" if one.extra else "everybody") for one in NAMED
    ], "run `make lock`"
    assert [words for *_, words in rows] == [dependencies.WHY[one.name] for one in NAMED]
    assert not {one.name for one in NAMED} & set(re.findall(r"^\| ([a-z0-9-]+) \|", second, re.MULTILINE))


def test_the_lock_has_everything_that_all_need_and_the_tests_in_a_version_that_we_allow():
    held = dict(line.split("==") for line in LOCK if not line.startswith("#"))
    assert list(held) == sorted(held)
    for one in NAMED:
        if one.extra in ("", "dev"):
            assert one.requirement.specifier.contains(held[one.name], prereleases=True), "run `make lock`"
    for name, version in held.items():
        assert canonicalize_name(name) == name
        assert Version(version).local is None  # +cpu is not to be found in a registry


def test_the_lock_names_no_registry_and_no_place():
    assert [line for line in LOCK[1:] if not re.fullmatch(r"[a-z0-9-]+==[\w.!]+", line)] == []
    assert "/" not in "".join(LOCK)


class Installed:
    """Stands in for importlib.metadata: a package with what it requires, and what it says of its licence."""

    PackageNotFoundError = LookupError

    def __init__(self, requires, stated=None):
        self.packages, self.stated = requires, stated or {}

    def requires(self, name):
        return self.packages[name]

    def version(self, name):
        return "2.8.0+cpu"

    def metadata(self, name):
        return self

    def __contains__(self, field):
        return field in self.stated

    def __getitem__(self, field):
        return self.stated[field]

    def get_all(self, field):
        return self.stated.get(field)


def test_what_is_brought_along_follows_extras_and_markers(monkeypatch):
    monkeypatch.setattr(dependencies, "metadata", Installed({
        "a": ["b[fast]>=1", "c; extra == 'other'", "d; sys_platform == 'none'"], "b": ["e; extra == 'fast'", "a"],
        "c": [], "d": [], "e": None,
    }))  # fmt: skip
    named = [dependencies.Direct(Requirement("A"), ""), dependencies.Direct(Requirement("not-here"), "x")]
    assert dependencies.brought(named) == {"a": {"", "b"}, "b": {"a"}, "e": {"b"}}
    assert dependencies.lock(named).splitlines()[1:] == ["a==2.8.0", "b==2.8.0", "e==2.8.0"]


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"License-Expression": "MIT", "License": "see file"}, "MIT"),
        ({"License": "BSD | 3"}, "BSD / 3"),
        ({"License": "Long\ntext", "Classifier": ["License :: OSI Approved :: BSD License", "Typing :: Typed"]},
         "BSD License"),
        ({"License": "Copyright\nby all"}, "Copyright"),
        ({}, "not stated in its metadata"),
    ],
)  # fmt: skip
def test_a_licence_is_in_the_words_of_the_package_and_short(monkeypatch, stated, words):
    monkeypatch.setattr(dependencies, "metadata", Installed({}, stated))
    assert dependencies.licence("a") == words
