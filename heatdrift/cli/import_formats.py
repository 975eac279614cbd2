"""The formats of ``heatdrift import``: what lies at a path, and the importer that reads it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from heatdrift.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heatdrift.records import DuplicateRule
    from heatdrift.store.importers.outcome import Before, ImportReport
    from heatdrift.store.importers.reading import Choices


class ImportFormat(StrEnum):
    """What lies at the path to import."""

    heatdrift = "heatdrift"
    reference = "reference"
    mlflow = "mlflow"
    wandb = "wandb"
    tensorboard = "tensorboard"
    trackio = "trackio"
    table = "table"


_TABLES: Final = (".csv", ".tsv", ".tab", ".txt", ".dat", ".parquet", ".json", ".jsonl", ".ndjson", ".gz")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is imported, and how the user wants it read.

    Attributes
    ----------
    columns, constants, map_file : as ``columns.column_map`` takes them.
    """

    kind: ImportFormat
    path: str
    study: str | None
    columns: "Sequence[str]" = ()
    constants: "Sequence[str]" = ()
    map_file: Path | None = None
    duplicates: "DuplicateRule" = "refuse"


def format_of(path: str) -> ImportFormat:
    """Return the format that a path looks like.

    Raises
    ------
    DataError
        Nothing is there, or nothing that tells.
    """
    file = Path(path)
    if "://" in path or (file / "meta.yaml").is_file() or (file / "0" / "meta.yaml").is_file():
        return ImportFormat.mlflow
    if not file.exists():
        raise DataError(f"there is nothing at {path}", hint="name a file, a folder or an MLflow tracking URI")
    if file.is_file() and file.suffix.lower() == ".json" and _is_reference(file):
        return ImportFormat.reference
    if file.is_file() and file.suffix.lower() in _TABLES:
        return ImportFormat.table
    tracker = _tracker(file)
    if tracker is not None:
        return tracker
    if file.suffix.lower() == ".duckdb" or (file / "runs.parquet").is_file() or any(file.glob("**/record.json")):
        return ImportFormat.heatdrift
    if any(_is_reference(found) for found in sorted(file.rglob("*.json"))[:1]):
        return ImportFormat.reference
    raise DataError(
        f"{path} does not tell what it is", hint=f"say it with --format {'|'.join(kind.value for kind in ImportFormat)}"
    )


def _tracker(path: Path) -> ImportFormat | None:
    from heatdrift.store.importers.tensorboard import is_tensorboard
    from heatdrift.store.importers.trackio import is_trackio
    from heatdrift.store.importers.wandb import is_wandb

    if path.is_file() and is_trackio(path):
        return ImportFormat.trackio
    if is_wandb(path):
        return ImportFormat.wandb
    return ImportFormat.tensorboard if is_tensorboard(path) else None


def _is_reference(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            start = stream.read(1_000_000)
    except OSError:
        return False
    return start.lstrip()[:1] == b"{" and b'"run_id"' in start and b'"config"' in start and b'"baseline"' in start


def importer(
    source: Source, choices: "Choices", *, dry_run: bool = False, before: "Before | None" = None
) -> "Callable[[Path], ImportReport]":
    """Return what brings the runs into a store folder; `before` gets the report of tables and MLflow before writing."""
    from heatdrift.store.importers.columns import column_map
    from heatdrift.store.importers.mlflow import import_mlflow
    from heatdrift.store.importers.outcome import nothing
    from heatdrift.store.importers.records import import_heatdrift
    from heatdrift.store.importers.reference import import_reference
    from heatdrift.store.importers.table import import_table

    rule, path, name = source.duplicates, source.path, source.study or "imported"
    if source.kind is ImportFormat.heatdrift:
        return lambda folder: import_heatdrift(
            Path(path), folder, source.study, duplicates=rule, percent=choices.percent, dry_run=dry_run
        )
    if source.kind is ImportFormat.reference:
        return lambda folder: import_reference(Path(path), folder, name, duplicates=rule, dry_run=dry_run)
    chosen = column_map(source.columns, source.constants, source.map_file)
    announce = before or nothing
    if source.kind is ImportFormat.mlflow:
        return lambda folder: import_mlflow(
            path, chosen, store_folder=folder, study=name, duplicates=rule, choices=choices, dry_run=dry_run,
            before=announce,
        )  # fmt: skip
    if source.kind in (ImportFormat.wandb, ImportFormat.tensorboard, ImportFormat.trackio):
        from heatdrift.store.importers.tensorboard import read_tensorboard
        from heatdrift.store.importers.tracked import import_tracked
        from heatdrift.store.importers.trackio import read_trackio
        from heatdrift.store.importers.wandb import read_wandb

        readers = {"wandb": read_wandb, "tensorboard": read_tensorboard, "trackio": read_trackio}
        read = readers[source.kind.value]
        return lambda folder: import_tracked(
            read(Path(path)), chosen, source=path, origin=source.kind.value, store_folder=folder, study=name,
            duplicates=rule, choices=choices, dry_run=dry_run, before=announce,
        )  # fmt: skip
    return lambda folder: import_table(
        Path(path), chosen, store_folder=folder, study=name, duplicates=rule, choices=choices, dry_run=dry_run,
        before=announce,
    )  # fmt: skip
