"""``heatdrift compare``: two studies, of one store or of two, over the cells that both have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.method_titles import name_methods
from heatdrift.cli.options import BackboneOption, ConfOption, Format, FormatOption, StoreOption, VerboseOption
from heatdrift.cli.output import note, say, show_answer
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import StatsError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

    from heatdrift.questions.compare.result import StudyComparison

_SUFFIX = ".duckdb"
_PLACE = "STUDY, PATH.duckdb or PATH.duckdb:STUDY"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("compare")(compare)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=f"First study: {_PLACE}.")],
    second: Annotated[str, typer.Argument(metavar="B", help=f"Second study: {_PLACE}. Differences are A minus B.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Numeric result column of runs (repeatable).")
    ] = None,
    backbone: BackboneOption = None,
    conf_level: ConfOption = 0.95,
    html: Annotated[bool, typer.Option("--html", help="Also write a page.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="File or folder of the page. Default: reports/A_against_B.html.")
    ] = None,
    fmt: FormatOption = Format.table,
    verbose: VerboseOption = False,
    store: StoreOption = None,
) -> None:
    """Compare two studies over the cells that both have: differences, what differs, what is missing.

    Example: `heatdrift compare demo runs/other.duckdb:demo --html`
    """
    from heatdrift.questions.compare.analysis import compare_studies

    sides = [_side(text, store) for text in (first, second)]
    if sides[0][:2] == sides[1][:2]:
        raise StatsError(f"{first} and {second} are the same study", hint="heatdrift compare STUDY OTHER.duckdb:STUDY")
    runs = [_of_backbone(side[2], backbone, side[1]) for side in sides]
    name_methods(*((side[2], Workspace.of(side[0]).kept_plan(side[1])) for side in sides))
    names = (sides[0][1], sides[1][1])
    if names[0] == names[1]:
        first, second = _distinct_ends(sides[0][0], sides[1][0])
        names = (f"{names[0]} ({first})", f"{names[1]} ({second})")
    result = compare_studies(runs[0], runs[1], names=names, metrics=metric, conf_level=conf_level)
    show_answer(result, fmt, verbose=verbose)
    if html:
        _write(result, out, (sides[0][1], sides[1][1]), answer=fmt == Format.table)


def _side(text: str, store: Path | None) -> "tuple[Path, str, pl.DataFrame]":
    """Return store, study and runs that an argument names."""
    from heatdrift.store.ingest import open_current
    from heatdrift.store.read import read_view, resolve_study

    path, found, study = text.rpartition(f"{_SUFFIX}:")
    if found:
        place, name = Path(f"{path}{_SUFFIX}"), study or None
    elif text.endswith(_SUFFIX):
        place, name = Path(text), None
    else:
        place, name = Workspace.of(store).store, text
    with open_current(place) as connection:
        chosen = Workspace.of(place).stored_study(connection, name) if name else resolve_study(connection, None)
        return place.resolve(), chosen, read_view(connection, "runs", study=chosen)


def _distinct_ends(first: Path, second: Path) -> tuple[str, str]:
    """Return the ends of two paths from the last part in which they differ: of their folders where the files agree."""
    a, b = ((*path.parts[:-1], path.stem) for path in (first, second))
    n = next((i for i, pair in enumerate(zip(a[::-1], b[::-1], strict=False)) if pair[0] != pair[1]), 0)
    return a[-1 - n], b[-1 - n]


def _of_backbone(runs: "pl.DataFrame", backbone: str | None, study: str) -> "pl.DataFrame":
    if backbone is None:
        return runs
    known = sorted(set(runs["backbone"].drop_nulls().to_list()))
    if backbone not in known:
        raise UnknownNameError("backbone", backbone, known, where=f"study {study}")
    return runs.filter(runs["backbone"] == backbone)


def _write(result: "StudyComparison", out: Path | None, studies: tuple[str, str], *, answer: bool) -> None:
    from heatdrift.cli.report import target_file, write_formats
    from heatdrift.questions.compare.section import compare_document

    target = target_file(out, f"{studies[0]}_against_{studies[1]}")
    write_formats(compare_document(result), ("html",), target, png=False, announce=say if answer else note)
