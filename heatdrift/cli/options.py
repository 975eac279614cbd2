"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    json = "json"
    csv = "csv"


class ResultFormat(StrEnum):
    """How answers to questions are printed; their main table goes into papers, too."""

    table = "table"
    json = "json"
    csv = "csv"
    latex = "latex"


StudyOption = Annotated[
    str | None,
    typer.Option(
        "--study", help="Study: a built-in name, a .toml file, or one trained before. Default: heatdrift.toml's."
    ),
]
StoredStudyOption = Annotated[
    str | None,
    typer.Option(
        "--study",
        help="Study of the store: its name or its .toml file. Default: heatdrift.toml's, else the only one there.",
    ),
]
CsvSafeOption = Annotated[
    bool,
    typer.Option(
        "--csv-safe/--no-csv-safe", help="CSV: put ' before texts that a spreadsheet would run (= + - @, tab)."
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        help="DuckDB file; records lie in the same folder, which belongs to one store. Default: runs/heatdrift.duckdb.",
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the images and weights that the study names by path.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]
ResultFormatOption = Annotated[
    ResultFormat,
    typer.Option(
        "--format",
        help="Output format; csv, latex: the main table (interaction: contrasts, predictors: signals, "
        "frontier: cells).",
    ),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also print how it was computed, and every table.")
]
BackboneOption = Annotated[str | None, typer.Option("--backbone", help="Only runs of this backbone.")]
DatasetOption = Annotated[list[str] | None, typer.Option("--dataset", help="Only this target data set (repeatable).")]
MethodOption = Annotated[list[str] | None, typer.Option("--method", help="Only this method (repeatable).")]
LrOption = Annotated[list[float] | None, typer.Option("--lr", help="Only this learning rate (repeatable).")]
FactorOption = Annotated[
    list[str] | None,
    typer.Option("--factor", help="Only runs of this level of an own factor, as rank=4 (repeatable)."),
]
SeedOption = Annotated[list[int] | None, typer.Option("--seed", help="Only this training seed (repeatable).")]
TransferOption = Annotated[
    str | None,
    typer.Option("--transfer", help="Zero-shot columns of this transfer set. Default: the first one of the study."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Train again what is finished (a new attempt).")]
ConfOption = Annotated[float, typer.Option("--conf-level", help="Level of intervals.", min=0.5, max=0.999)]
