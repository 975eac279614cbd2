"""docs/python.md: every public name with its signature, its docstring and its example, from the code."""

import inspect
import re
from typing import Final

import heatdrift

_OPENING: Final = """# heatdrift in Python

Generated from the docstrings (`python -m heatdrift.cli.docs docs`); a test runs every example.

```python
import heatdrift

runs = heatdrift.read_runs("mini")  # a finished study that comes with heatdrift: 80 runs, nothing to download
answer = heatdrift.paired(runs, metrics=["retention_pct"])
print(answer.findings[-1])
```

`pip install .` in a clone installs it; `import heatdrift` takes a hundredth of a second, because each name is imported
when it is first asked for.

## What is asked, and of what

A question is a function: `heatdrift.interaction(runs, metric="retention_pct")`. Its options are those of the command
`heatdrift stats NAME`, with the same defaults, and its page in [questions](questions/index.md) says which test answers
it and when not to trust it. `ask_all` asks everything that a page asks, and `fit_model` is for a table of any names.

`runs` are rows of the view `runs` ([schema.md](schema.md)): from `read_runs`, or from anywhere else. Frames of polars,
pandas and pyarrow, relations of DuckDB and mappings of columns are read through Arrow; the least that a frame needs is
`dataset`, `method`, `lr`, `seed`, `status` (`done` for a finished run) and the metrics that are asked for.

## What an answer offers

An answer is a frozen struct; its fields are the JSON keys of the command, typed.

| | |
|---|---|
| `print(answer)`, and a notebook's cell | n, what was left out, caveats, findings |
| `answer.findings`, `.claims`, `.caveats`, `.left_out` | sentences of what holds; every test; what to know first |
| `answer.to_frame()`, `.to_frame("contrasts")` | the main table, or another, in polars (`.to_pandas()` for pandas) |
| `answer.to_latex()` | the same as a booktabs table |
| `answer.chart()`, `.charts()` | the figures of its page, as Altair charts; an error where there is no natural one |
| `answer.write_chart("fig.pdf", width="single")` | a figure for print: SVG or PDF, 85 or 174 mm, text kept as text |

[tutorial.ipynb](tutorial.ipynb) goes from the shipped study to a figure for a paper.

## Errors

Everything that a caller can correct is a `heatdrift.HeatdriftError` with `message` and `hint`: an unknown metric,
study, column or option names the nearest known one; a frame of another shape names the columns that it lacks; a store
that is absent, locked, newer or damaged says so and what to do. Anything else is a mistake of ours.

## What stays: compatibility

The names on this page, their parameters and the fields of answers are public; so are the JSON keys, commands and views
of the store. What is to go is first deprecated for one minor version: in 0.N it works and warns
(`DeprecationWarning`, with its successor), in 0.N+1 at the earliest it is gone, and the changelog names it both times.
New fields, parameters with a default and names may come in any version. Names that begin with an underscore, and
modules below `heatdrift` that are not on this page, may change without notice. The package is typed (`py.typed`).

## Names

"""
_HEADING: Final = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def python_page() -> str:
    """Return the whole page."""
    names = [name for name in heatdrift.__all__ if name != "__version__"]
    listed = ", ".join(f"[`{name}`](#{name.lower()})" for name in names)
    entries = [_entry(name) for name in names]
    return f"{_OPENING}{_folded(listed)}, `__version__`.\n\n" + "\n".join(entries)


def _folded(text: str, width: int = 118) -> str:
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _entry(name: str) -> str:
    public = getattr(heatdrift, name)
    text = f"### {name}\n\n```text\n{_signature(name, public)}\n```\n\n{_markdown(inspect.getdoc(public) or '')}\n"
    if inspect.isclass(public) and not issubclass(public, Exception):
        for key, member in vars(public).items():
            function = member.__func__ if isinstance(member, classmethod) else member
            if inspect.isfunction(function) and not key.startswith("_"):
                own = f"{name}.{key}"
                text += f"\n#### {own}\n\n```text\n{_signature(own, function)}\n```\n\n"
                text += f"{_markdown(inspect.getdoc(function) or '')}\n"
    return text


def _signature(name: str, public: object) -> str:
    """Return the call with one parameter a line where it is long, without annotations: the docstring has the words."""
    target = public if callable(public) else type(public)
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(target).parameters.values()]
    kept = [
        p.replace(default=...) if inspect.isfunction(p.default) else p  # a function's repr has its address
        for p in parameters
        if p.name not in ("self", "cls")
    ]
    whole = f"{name}{inspect.Signature(kept)}"
    if len(whole) <= 100:
        return whole
    return whole.replace("(", "(\n    ", 1).replace(", ", ",\n    ").removesuffix(")") + ",\n)"


def _markdown(doc: str) -> str:
    """Return a NumPy docstring as Markdown: sections under bold heads, parameters as a list, examples fenced."""
    first, *rest = _HEADING.split(doc)
    parts = [first.strip()]
    for head, body in zip(rest[::2], rest[1::2], strict=True):
        shown = _example(body) if head == "Examples" else _items(body)
        parts.append(f"**{head}**\n\n{shown}")
    return "\n\n".join(parts)


def _example(body: str) -> str:
    said, _, code = body.strip().partition(">>>")
    return f"{said.strip()}\n\n```pycon\n>>>{code}\n```".strip()


def _items(body: str) -> str:
    """Return lines without an indent as items, with the indented lines that continue them."""
    lines = body.strip("\n").splitlines()
    return "\n".join(f"- {line}" if line[:1].strip() else f"  {line.strip()}" for line in lines if line.strip())
