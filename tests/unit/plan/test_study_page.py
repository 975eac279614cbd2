"""docs/study.md names every key of every section, and no other."""

import msgspec
import pytest

from heatdrift.config import _SECTIONS, StudySpec
from heatdrift.methods import METHOD_TITLES
from heatdrift.plan.study_page import study_page
from heatdrift.plan.study_words import PARTS


def structs(kind):
    """Every struct that a value of the type may hold."""
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind.cls
        for field in kind.fields:
            yield from structs(field.type)
    for name in ("types", "item_type", "value_type"):
        inner = getattr(kind, name, ())
        for one in inner if isinstance(inner, tuple) else (inner,):
            yield from structs(one)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.title)
def test_every_key_has_words_and_no_other(part):
    assert set(part.keys) == {field.name for field in msgspec.structs.fields(part.kind)}


def test_every_section_is_there():
    described = {part.kind for part in PARTS}
    assert set(structs(msgspec.inspect.type_info(StudySpec))) <= described
    assert set(_SECTIONS.values()) <= described


def test_the_page_says_defaults_values_and_methods():
    page = study_page()
    assert "| `epochs` | whole number; >= 1 | required | passes over the training set |" in page
    assert '| `precision` | `"auto"`, `"bfloat16"`, `"float16"`, `"float32"` | `"float32"` |' in page
    assert "`track_zero_shot_pct` is NULL" in page
    assert all(f"| `{name}` | {title} |" in page for name, title in METHOD_TITLES.items())
