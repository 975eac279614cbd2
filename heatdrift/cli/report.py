"""``heatdrift report``: one self-contained page per study, and the same as Markdown, PDF and single pictures."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heatdrift.cli.options import (
    BackboneOption,
    ConfOption,
    DataDirOption,
    FactorOption,
    StoredStudyOption,
    StoreOption,
)
from heatdrift.cli.output import note, say
from heatdrift.cli.watching import EveryOption
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import ReportError, UnknownNameError
from heatdrift.metrics import run_column
from heatdrift.wording import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from heatdrift.report.document import Document
    from heatdrift.report.formats.vector import Kind


_ALSO: Final = {"latex": "tex", "markdown": "md"}  # what people also call a format


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("report")(report)


def report(
    html: Annotated[bool, typer.Option("--html", help="Write an HTML page (the default).")] = False,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format", help="Comma list of page formats, as html,md,pdf,tex (pdf needs Chromium; tex: the tables)."
        ),
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Also write each figure as a PNG file.")] = False,
    figures: Annotated[
        str | None, typer.Option("--figures", help="Also write each figure for print: svg, pdf or svg,pdf.")
    ] = None,
    width: Annotated[
        str, typer.Option("--width", help="Width of figures for print: single (85 mm), double (174 mm), or mm.")
    ] = "double",
    template: Annotated[str, typer.Option("--template", help="How much of the page: full, paper or talk.")] = "full",
    section: Annotated[str | None, typer.Option("--section", help="One section alone, by its id.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the HTML page in the browser.")] = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="No photographs, even if data are at hand.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="File or folder. Default: reports/STUDY.html.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Metrics to model (repeatable).")] = None,
    data_dir: DataDirOption = None,
    conf_level: ConfOption = 0.95,
    backbone: BackboneOption = None,
    factor: FactorOption = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Write it again when a run has ended, until the study is finished, or Ctrl-C."),
    ] = False,
    every: EveryOption = 15.0,
    study: StoredStudyOption = None,
    store: StoreOption = None,
) -> None:
    """Write a page with findings, charts, models, checks and provenance that opens without a network.

    A page index.html next to it lists the reports of the folder.

    Example: `heatdrift report --html --study demo`
    """
    from heatdrift.cli.report_input import gather
    from heatdrift.report.page import report_document
    from heatdrift.report.templates import check_template, one_section, templated
    from heatdrift.store.ingest import open_current

    wanted = chosen_formats(formats, html=html, out=out)
    print_kinds, print_width = chosen_figures(figures, width)
    check_template(template)
    for name in metric or ():
        run_column(name)
    work = Workspace.of(store)

    def make() -> str:
        with open_current(work.store) as connection:
            chosen = work.stored_study(connection, study)
            shown = "-".join([chosen, *([backbone] if backbone else []), *(factor or ())])
            target = target_file(out, chosen if shown == chosen else re.sub(r"[^\w.-]+", "-", shown))
            page = gather(
                connection,
                chosen,
                work,
                tuple(metric or ()),
                conf_level,
                images=not no_images,
                data_dir=data_dir,
                option=study,
                backbone=backbone,
                factors=tuple(factor or ()),
            )
        document = templated(report_document(page), template)
        document = document if section is None else one_section(document, section)
        write_formats(document, wanted, target, png=png)
        if print_kinds:
            _write_print(document, target, print_kinds, print_width)
        nonlocal open_it
        if open_it:
            _open(target.with_name(f"{target.name}.html"))
            open_it = False  # made again, it is in the browser already
        return chosen

    if not watch:
        make()
        return
    from heatdrift.cli.report_watch import watched

    watched(make, work, study, every_s=every)


def chosen_formats(formats: str | None, *, html: bool, out: Path | None) -> tuple[str, ...]:
    """Return the formats to write, in the order of FORMATS; without any named, that of the file `out`, else html.

    Raises
    ------
    ReportError, UnknownNameError
        No format in the list; one that there is not; PDF without a browser.
    """
    from heatdrift.report.formats import FORMATS, HTML

    named = [name.strip().lower() for name in (formats or "").split(",") if name.strip()]
    named = [_ALSO.get(name, name) for name in named]
    if formats is not None and not named:
        raise ReportError("no format chosen", hint="heatdrift report --html")
    for name in named:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    suffix = out.suffix.removeprefix(".").lower() if out is not None else ""
    if html or not named:
        named.append(suffix if suffix in FORMATS and not html else HTML)
    chosen = tuple(name for name in FORMATS if name in named)
    for name in chosen:
        FORMATS[name].check()  # before minutes are spent on the models
    return chosen


def chosen_figures(figures: str | None, width: str) -> "tuple[tuple[Kind, ...], float]":
    """Return the kinds of files for print, and their width in mm.

    Raises
    ------
    ReportError, UnknownNameError
        No kind in the list; one that there is not; a width that is no name and no number of 30 to 400 mm.
    """
    from heatdrift.report.formats.vector import COLUMN_MM, KINDS

    named = [name.strip().lower() for name in (figures or "").split(",") if name.strip()]
    if figures is not None and not named:
        raise ReportError("no kind of figure chosen", hint="heatdrift report --figures svg")
    for name in named:
        if name not in KINDS:
            raise UnknownNameError("kind of figure", name, KINDS)
    size = COLUMN_MM.get(width)
    if size is None:
        try:
            size = float(width.removesuffix("mm"))
        except ValueError:
            raise UnknownNameError("width", width, COLUMN_MM) from None
        if not 30 <= size <= 400:
            raise ReportError(f"a figure of {size:g} mm is no figure", hint="--width single, double, or 30 to 400")
    return tuple(kind for kind in KINDS if kind in named), size


def target_file(out: Path | None, name: str) -> Path:
    """Return where the page goes, without a suffix: `out` if it is a file name, else `name` in that folder.

    Raises
    ------
    ReportError
        The page would have the name of the folder's index.
    """
    from heatdrift.report.formats import FORMATS

    named = out is not None and out.suffix.removeprefix(".").lower() in FORMATS
    target = out.with_suffix("") if out is not None and named else (out or Path("reports")) / name
    if target.name == "index":
        raise ReportError(
            f"{target}.html is the name of the index of its folder", hint="choose another with --out FILE.html"
        )
    return target


def write_formats(
    document: "Document", formats: tuple[str, ...], target: Path, *, png: bool, announce: "Callable[[str], None]" = say
) -> None:
    """Write one document in all formats next to each other, the figures too if `png`, and the folder's index.

    `announce` prints what was written: to stdout, unless that is the data of an answer.
    """
    from heatdrift.report.formats import FORMATS, HTML
    from heatdrift.report.formats.png import write_pngs
    from heatdrift.report.index import INDEX
    from heatdrift.report.index_page import write_index

    pictures: dict[str, Path] = {}
    if png:
        pictures = write_pngs(document, target.with_name(f"{target.name}_figures"))
        for picture in pictures.values():
            _say_written(picture, announce)
    for name in formats:
        path = target.with_name(f"{target.name}.{name}")
        shortened = FORMATS[name].write(document, path, pictures)
        _say_written(path, announce)
        for text in shortened:
            note(text)
    listed = HTML in formats or (target.parent / INDEX).exists()
    if listed and write_index(target.parent) is None:
        note(f"{target.parent / INDEX} was not made by heatdrift and is left as it is: no index of the reports")


def _write_print(document: "Document", target: Path, kinds: "tuple[Kind, ...]", width: float) -> None:
    from heatdrift.report.formats.vector import write_figures

    for paths in write_figures(document, target.with_name(f"{target.name}_figures"), kinds, width).values():
        for path in paths:
            _say_written(path)


def _open(page: Path) -> None:
    """Open a page in the user's browser; where there is none, say where the page is."""
    import webbrowser

    if not page.exists():
        raise ReportError(f"there is no {page.name} to open", hint="heatdrift report --html --open")
    if not webbrowser.open(page.resolve().as_uri()):
        note(f"no browser was found on this machine: open {page} yourself")


def _say_written(path: Path, announce: "Callable[[str], None]" = say) -> None:
    announce(f"{path} ({megabytes(path.stat().st_size)})")
