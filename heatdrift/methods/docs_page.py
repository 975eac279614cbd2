"""docs/methods.md, made from the families: built-in methods, and what ``[methods.NAME]`` of a study file may say."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Final

import msgspec

from heatdrift.methods.base import Family
from heatdrift.methods.registry import BUILT_IN, FAMILIES, METHOD_TITLES

_HEAD: Final = """# Methods

Generated from `heatdrift/methods/families/`: one file is one family. Every method trains the classifier; the text tower
is frozen.

| name | title | kind | visual tower | visual projection | adapters |
|---|---|---|---|---|---|"""
_OWN: Final = """
## Your own methods

A study file may define methods and name them in its grids, next to the built-in ones:

```toml
[methods.my_lora]
kind = "lora"
rank = 4
alpha = 8
targets = ["q", "k", "v", "out", "c_fc", "c_proj"]
blocks = "6-11"                          # or "all", "0,3,6", [0, 3, 6]; the first block is 0
title = "LoRA on the late half"          # words for pages and tables; else they are made from the other keys
```

`kind` is a family; the other keys are its parameters, and what is left out has its default. All of it but the title is
part of each cell's id, and each run carries it, so that pages describe the method without the study file. A name that
is taken, an unknown kind, key or target, a rank of 0, or a block that the backbone does not have is an error before
anything is planned.

## Between base and adapted

Every method that changes the tower may be named at an alpha from 0 to 1: `method = ["full_ft", "full_ft@0.5"]`. The
weights of `full_ft@0.5` are W0 + 0.5 (W - W0) of the `full_ft` cell of the same data set, learning rate and seed, at
its selected epoch (WiSE-FT, Wortsman et al. 2022); adapters are merged first, so LoRA is scaled. The classifier is the
parent's. It is a run of its own: measured, replicated over seeds, in every table and chart.

`heatdrift train` trains the parent once: its trained tensors stay next to its record (selected.safetensors), cells
between it and the base wait for it where it runs, and further alphas cost no training later. Where a parent was trained
before anything asked for alphas, was deleted, or is in no grid, the first such cell trains it and keeps its tensors."""
_ATTRIBUTES: Final = re.compile(r"^Attributes\n-+\n(.*?)(?:\n\n|\Z)", re.S | re.M)
_ATTRIBUTE: Final = re.compile(r"^(\w+) : (.*(?:\n    .*)*)", re.M)


def methods_page() -> str:
    """Return the page."""
    lines = [_HEAD]
    for name, entry in BUILT_IN.items():
        description = entry.family.description()
        cells = (
            f"`{name}`",
            METHOD_TITLES[name],
            f"`{entry.family.kind}`",
            description.tower,
            _yes(on=description.projection),
        )
        lines.append(f"| {' | '.join((*cells, description.adapters))} |")
    lines.append(_OWN)
    for family in FAMILIES.values():
        lines += ["", *_kind(family)]
    return "\n".join(lines) + "\n"


def _kind(family: type[Family]) -> Iterator[str]:
    """Yield the section of one family: its summary and its keys."""
    about = inspect.cleandoc(family.__doc__ or "").partition("\n\nAttributes\n")[0]
    origin = inspect.cleandoc(inspect.getmodule(family).__doc__ or "")
    yield f"### `{family.kind}`"
    yield f"\n{_one_line(origin)}\n\n{_one_line(about)}\n"
    words = attribute_words(family)
    yield "| key | default | what it is |"
    yield "|---|---|---|"
    for field in fields(family):
        default = msgspec.json.encode(field.default).decode()
        yield f"| `{field.name}` | `{default}` | {words[field.name]} |"


def attribute_words(family: type[Family]) -> dict[str, str]:
    """Words for each parameter, from the section Attributes of the class and of those that it derives from."""
    found: dict[str, str] = {}
    for kind in reversed(family.__mro__):
        section = _ATTRIBUTES.search(inspect.cleandoc(kind.__doc__ or "")) if issubclass(kind, Family) else None
        found |= dict(_ATTRIBUTE.findall(section[1])) if section else {}
    return {name: _one_line(text) for name, text in found.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _yes(*, on: bool) -> str:
    return "yes" if on else "no"
