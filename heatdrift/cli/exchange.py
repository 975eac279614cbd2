"""``heatdrift import`` and ``export``: runs from elsewhere, and runs for elsewhere."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec
import typer

from heatdrift.cli.import_formats import ImportFormat, Source, format_of, importer
from heatdrift.cli.import_report import show_audit, show_counts, show_problems
from heatdrift.cli.options import CsvSafeOption, Format, StoredStudyOption, StoreOption
from heatdrift.cli.output import note, say, show_json
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import DataError
from heatdrift.records import DuplicateRule
from heatdrift.store.importers.percent import Percent
from heatdrift.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heatdrift.store.importers.outcome import ImportReport
    from heatdrift.store.importers.per_image import Matched
    from heatdrift.store.scan import Problem


class FolderFormat(StrEnum):
    """Files of an exported folder."""

    parquet = "parquet"
    csv = "csv"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("import")(import_runs)
    app.command("export")(export)


def import_runs(
    path: Annotated[str, typer.Argument(help="Folder, file, or MLflow tracking URI.")],
    kind: Annotated[
        ImportFormat | None, typer.Option("--format", help="What lies there. Default: what it looks like.")
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="Study that the runs become part of. Default: theirs, or 'imported'.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="ours=theirs, or ours=theirs*100 (repeatable; tables, trackers).")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", help="ours=value for all runs (repeatable; tables, trackers).")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map-file", help="The same as TOML: [columns], [constants].")
    ] = None,
    duplicates: Annotated[
        DuplicateRule,
        typer.Option("--duplicates", help="What counts of runs of one cell and seed whose results differ."),
    ] = "refuse",
    epochs_from: Annotated[
        int | None,
        typer.Option(
            "--epochs-from",
            min=0,
            max=1,
            help="0: the first trained epoch is called 0. 1: epoch 0 is the pretrained model. Default: found out.",
        ),
    ] = None,
    percent: Annotated[
        Percent,
        typer.Option("--percent", help="Percentages that are all at most 1: ask, or take them as they are."),
    ] = "ask",
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore", help="Column that is kept neither as a metric nor as a factor (repeatable; tables, trackers)."
        ),
    ] = None,
    factors: Annotated[
        list[str] | None,
        typer.Option(
            "--factor",
            help="Column of a setting that tells runs apart, such as a rank (repeatable; tables, trackers). Default: "
            "known names that vary.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Parquet of results image by image (docs/store.md).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, say what would be imported, write nothing.")
    ] = False,
    store: StoreOption = None,
    fmt: Annotated[Format, typer.Option("--output", help="How to print what was done.")] = Format.table,
) -> None:
    """Bring runs measured elsewhere into the store; importing twice is importing once.

    Rows or files of one cell and seed with the same results are one run. Where results differ, also from those of a run
    that the store has, nothing is imported until --duplicates says what counts; every result that uses such a run then
    says what was done.

    Of a table or of MLflow it is said first what was found in it: columns that were guessed by their names, levels of
    the keys, ranges of the metrics, what is left out and why. With --dry-run that is all.

    Example: `heatdrift import runs.csv --dry-run`
    """
    from heatdrift.store.importers.per_image import write_run_images
    from heatdrift.store.importers.reading import Choices
    from heatdrift.store.ingest import ingest

    folder, store = Workspace.of(store).store_folder, Workspace.of(store).store
    choices = Choices(
        epochs_from=cast("Literal[0, 1] | None", epochs_from), percent=percent, ignore=tuple(ignore or ()),
        factors=tuple(factors or ()),
    )  # fmt: skip
    source = Source(
        kind=kind or format_of(path), path=path, study=study, columns=columns or (), constants=constants or (),
        map_file=map_file, duplicates=duplicates,
    )  # fmt: skip
    shown: list[ImportReport] = []

    def show(found: "ImportReport") -> None:
        shown.append(found)
        if fmt is not Format.json:
            show_audit(found)

    matched = _matched(images, importer(source, choices), folder) if images is not None else {}
    report = importer(source, choices, dry_run=dry_run, before=show)(folder)
    if not shown:
        show(report)
    if dry_run:
        _finish(report, source, (), store, fmt)
        return
    if images is not None:
        report = msgspec.structs.replace(report, images=write_run_images(matched, folder))
    _finish(report, source, ingest(store).problems, store, fmt)


def _matched(images: Path, bring: "Callable[[Path], ImportReport]", folder: Path) -> "Matched":
    """Match results of single images with the runs, which are brought into a folder for trial: nothing is kept yet."""
    from tempfile import TemporaryDirectory

    from heatdrift.store.importers.per_image import match_run_images
    from heatdrift.store.importers.per_image_table import read_run_images
    from heatdrift.store.ingest import ingest, open_current
    from heatdrift.store.read import read_view

    found = read_run_images(images)
    with TemporaryDirectory() as scratch:
        trial = Path(scratch) / "heatdrift.duckdb"
        tried = bring(trial.parent)
        if not tried.added:
            return {}  # nothing there is a run: the import itself says why
        ingest(trial)
        with open_current(trial) as connection:
            runs, transfer = read_view(connection, "runs"), read_view(connection, "transfer")
        return match_run_images(found, runs, transfer, (trial.parent, folder))


def _finish(report: "ImportReport", source: Source, problems: "Sequence[Problem]", store: Path, fmt: Format) -> None:
    """Print what was done, and fail where nothing was a run."""
    from heatdrift.store.advice import with_store

    show_problems(problems)
    if fmt is Format.json:
        show_json(report)
    else:
        show_counts(report)
    if report.repeated:
        note(f"{counted(report.repeated, 'cell')} had other results already; the new ones count, all are kept:")
        note(with_store("heatdrift sql --name repeated_runs", store))
    if report.problems and not report.added + report.unchanged:
        raise DataError(f"nothing at {source.path} is a {source.kind.value} run", hint="see the reasons above")


def export(
    to: Annotated[Path, typer.Option("--to", help="A new folder, or FILE.duckdb.")],
    study: StoredStudyOption = None,
    kind: Annotated[FolderFormat, typer.Option("--format", help="Files of a folder.")] = FolderFormat.parquet,
    safe: CsvSafeOption = True,
    store: StoreOption = None,
) -> None:
    """Write all views as Parquet or CSV files, or as one self-contained DuckDB file.

    Example: `heatdrift export --to runs.duckdb --study demo`
    """
    from heatdrift.store.export import export_store
    from heatdrift.store.ingest import open_current

    work = Workspace.of(store)
    if study is not None:
        with open_current(work.store) as connection:
            study = work.stored_study(connection, study)
    report = export_store(work.store, to, study=study, kind=kind.value, safe=safe)
    say(f"{report.path}: " + ", ".join(f"{n} {view}" for view, n in report.rows.items()))
