"""docs/study.md, made from the types of a study file: every key, its values, default and unit, and every method."""

from collections.abc import Iterator
from types import NoneType
from typing import Final

import msgspec
from msgspec import inspect

from heatdrift.methods import METHOD_TITLES
from heatdrift.methods.registry import BUILT_IN
from heatdrift.plan.study import builtin_studies, load_study
from heatdrift.plan.study_words import PARTS, Key, Part

_HEAD: Final = """# The study file

Generated from `heatdrift/config.py` and `heatdrift/plan/study_words.py`. `heatdrift init --from FOLDER` writes one for
your pictures, with comments; a study file is strict TOML, and an unknown key is an error that names the nearest one.
What decides a result is part of the cells' ids: after a change, new cells are trained next to the old ones.

Built-in studies, of which each is such a file: {studies}."""
_METHODS: Final = """
## Methods

What each built-in method trains besides the classifier, which all of them train. `[methods.NAME]` defines one of your
own: `kind` is a family, the other keys are its parameters (docs/methods.md).

| name | title | visual tower | visual projection | adapters |
|---|---|---|---|---|"""


def study_page() -> str:
    """Return the page."""
    studies = ", ".join(f"`{name}` ({load_study(name).protocol})" for name in builtin_studies())
    lines = [_HEAD.format(studies=studies)]
    for part in PARTS:
        lines += _part(part)
    lines.append(_METHODS)
    for name, entry in BUILT_IN.items():
        what = entry.family.description()
        projection = "yes" if what.projection else "no"
        lines.append(f"| `{name}` | {METHOD_TITLES[name]} | {what.tower} | {projection} | {what.adapters} |")
    return "\n".join(lines) + "\n"


def _part(part: Part) -> Iterator[str]:
    yield f"\n## {part.title}\n\n{part.about}\n"
    yield "| key | value | left out | what it says |"
    yield "|---|---|---|---|"
    for field in msgspec.structs.fields(part.kind):
        key = part.keys[field.name]
        value = _value(inspect.type_info(field.type), key)
        yield f"| `{field.name}` | {value} | {_left_out(field, key)} | {key.meaning} |"


def _value(kind: inspect.Type, key: Key) -> str:
    words = _type_words(kind)
    return f"{words}; {key.unit}" if key.unit else words


def _type_words(kind: inspect.Type) -> str:
    """Return a type as people say it; a pipe would end the cell of the table."""
    match kind:
        case inspect.UnionType():
            parts = [_type_words(part) for part in kind.types if not isinstance(part, inspect.NoneType)]
            return " or ".join(dict.fromkeys(parts))
        case inspect.LiteralType():
            return ", ".join(f"`{msgspec.json.encode(value).decode()}`" for value in kind.values)
        case inspect.VarTupleType():
            return f"list of {_type_words(kind.item_type)}"
        case inspect.DictType():
            return "tables by name"
        case inspect.StructType():
            return "table"
        case inspect.BoolType():
            return "`true`, `false`"
    return _SIMPLE[type(kind)]


_SIMPLE: Final[dict[type[inspect.Type], str]] = {
    inspect.StrType: "text",
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
    inspect.AnyType: "value",
    inspect.NoneType: "",
}


def _left_out(field: msgspec.structs.FieldInfo, key: Key) -> str:
    if field.required:
        return "required"
    if key.absent:
        return key.absent
    default = field.default
    assert default not in (msgspec.NODEFAULT, None, NoneType), f"{field.name}: no default to print, and no words for it"
    return f"`{msgspec.json.encode(default).decode()}`"
