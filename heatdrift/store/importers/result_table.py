"""Tables of pretrained models' results (CLIP_benchmark's and their like) -> reference points: rows that are no runs.

Such a table has a model, a data set and accuracies, but neither method nor learning rate nor seed.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from heatdrift.errors import DataError
from heatdrift.store.folder import cell_folder
from heatdrift.store.importers.columns import ColumnMap
from heatdrift.store.importers.guess import may_mean
from heatdrift.store.importers.outcome import Audit, ImportReport, Measured
from heatdrift.store.importers.percent import Percent, Range
from heatdrift.store.importers.table_file import TableFile
from heatdrift.store.importers.values import is_missing, number_from, trimmed
from heatdrift.store.reference_points import PointsFile, ReferencePoint, points_path, write_points
from heatdrift.store.scan import Problem
from heatdrift.wording import listed, quoted

_METRICS: Final = {  # a column of theirs -> metric here
    **dict.fromkeys(("acc1", "top1", "acc@1", "accuracy", "zero_shot_acc", "zeroshot_acc"), "zero_shot_pct"),
    **{name: name for name in ("acc5", "mean_per_class_recall", "mean_average_precision")},
    **{name: name for name in ("image_retrieval_recall@5", "text_retrieval_recall@5")},
}
_COLLECTION: Final = re.compile(r"^(wds/|vtab/|webdatasets?/)+", re.IGNORECASE)
_NAMES: Final = {"model": ("model", "model_fullname"), "dataset": ("dataset", "downstream_dataset")}
_RUN_COLUMNS: Final = ("lr", "seed", "method")
_QUICK: Final = re.compile(r"^(ViT-[BL]-(?:32|16|14(?:-336)?)|RN(?:50|101|50x4|50x16|50x64))$")


def is_result_table(table: TableFile, columns: ColumnMap) -> bool:
    """Whether a table has results of models but nothing of what makes a run: no learning rate, seed and method."""
    if any(columns.source(name).column in table.names or name in columns.constants for name in _RUN_COLUMNS):
        return False
    if any(may_mean(ours, name) for ours in _RUN_COLUMNS for name in table.names):
        return False
    return len(_named(table)) == len(_NAMES) and any(name.casefold() in _METRICS for name in table.names)


def import_result_table(
    table: TableFile,
    path: Path,
    *,
    store_folder: Path,
    study: str,
    percent: Percent = "ask",
    dry_run: bool = False,
    before: Callable[[ImportReport], object] = lambda _report: None,
) -> ImportReport:
    """Keep the results of a table as reference points of `study`; twice is once.

    Raises
    ------
    DataError
        Some columns are fractions and others percentages, or a value is outside 0 to 100; nothing is written.
    """
    cell_folder(store_folder, study, "check")
    found, problems = _points(table, path)
    factor, notes = _factor([(metric, value) for _, _, metric, _, value in found], path, percent)
    notes += _several(found)
    points = tuple(
        ReferencePoint(backbone=backbone, dataset=dataset, metric=metric, value_pct=factor * value, source=source)
        for backbone, dataset, metric, source, value in found
    )
    wrong = [p for p in points if not 0 <= p.value_pct <= 100]
    if wrong:
        raise DataError(
            f"{wrong[0].source}: {wrong[0].metric} is {wrong[0].value_pct:g} %; nothing was imported",
            hint="give fractions or percentages in all columns",
        )
    kept = PointsFile(study=study, points=points)
    new = bool(points) and not points_path(kept, store_folder).exists()
    report = ImportReport(
        added=len(points) if new else 0,
        unchanged=0 if new else len(points),
        problems=tuple(problems),
        studies=(study,) if points else (),
        audit=_audit(table, points, notes),
        written=not dry_run,
        what="reference point",
    )
    before(report)
    if new and not dry_run:
        write_points(kept, store_folder)
    return report


Found = tuple[str, str, str, str, float]  # backbone, data set, metric, source, value as it stands there


def _named(table: TableFile) -> dict[str, str]:
    """Return which column has the model, and which the data set, of those that are there."""
    fitting = {name: [column for column in also if column in table.names] for name, also in _NAMES.items()}
    return {name: columns[0] for name, columns in fitting.items() if columns}


def _points(table: TableFile, path: Path) -> tuple[list[Found], list[Problem]]:
    found, problems = list[Found](), list[Problem]()
    measures = {name: _METRICS[name.casefold()] for name in table.names if name.casefold() in _METRICS}
    names = _named(table)
    for number, given in enumerate(table.rows, start=1):
        row = given | {name: given.get(column) for name, column in names.items()}
        lacking = [name for name in ("model", "dataset") if is_missing(row.get(name))]
        values = {name: row[name] for name in measures if not is_missing(row.get(name))}
        task = "" if is_missing(row.get("task")) else f" (task {row['task']})"
        if lacking or not values:
            what = f"no value for {listed(lacking)}" if lacking else f"no value for {listed(list(measures))}{task}"
            problems.append(Problem(path=path, reason=f"row {number}: {what}"))
            continue
        for name, value in values.items():
            try:
                measured = number_from(value)
            except ValueError:
                problems.append(Problem(path=path, reason=f"row {number}: {name} is {str(value)[:40]!r}, not a number"))
                continue
            dataset = _COLLECTION.sub("", trimmed(str(row["dataset"])))
            found.append((_backbone(row), dataset, measures[name], f"{path.name} row {number}", measured))
    return found, problems


def _backbone(row: dict[str, object]) -> str:
    """Return MODEL/TAG; OpenAI's weights need the quick activation, so runs name their architecture with it."""
    model = trimmed(str(row["model"]))
    tag = "" if is_missing(row.get("pretrained")) else trimmed(str(row["pretrained"]))
    if not tag and "model_fullname" in row:  # both names in one, apart by a space
        model, _, tag = model.partition(" ")
    model = f"{model}-quickgelu" if tag == "openai" and _QUICK.fullmatch(model) else model
    return f"{model}/{tag}" if tag else model


def _factor(values: Sequence[tuple[str, float]], path: Path, percent: Percent) -> tuple[float, tuple[str, ...]]:
    """Return what makes percentages of the values (metric, value): all are fractions, or all are percentages."""
    ranges: dict[str, Range] = {}
    for metric, value in values:
        ranges.setdefault(metric, Range()).see("", value)
    if not ranges or percent == "as-is":
        return 1.0, ("results are taken as percentages",) if ranges else ()
    low, high = min(r.low for r in ranges.values()), max(r.high for r in ranges.values())
    if high <= 1:
        return 100.0, (
            f"results are taken as fractions: all of them are between {low:g} and {high:g} (--percent as-is says that "
            "they are percentages)",
        )
    mixed = [f"{metric} ({r.low:g} to {r.high:g})" for metric, r in ranges.items() if r.n_small]
    if mixed:
        raise DataError(
            f"{path}: some values of {listed(mixed)} are at most 1 and the largest of the table is {high:g}; are they "
            "fractions, or less than 1 %? nothing was imported",
            hint="give all columns as fractions or as percentages; --percent as-is takes every value as percent",
        )
    return 1.0, ("results are taken as percentages",)


def _several(found: "Sequence[Found]") -> tuple[str, ...]:
    """Say which model, data set and metric have several different values: all of them are kept."""
    values: dict[tuple[str, str, str], set[float]] = {}
    for backbone, dataset, metric, _, value in found:
        values.setdefault((backbone, dataset, metric), set()).add(value)
    several = [f"{metric} of {model} on {dataset}" for (model, dataset, metric), v in values.items() if len(v) > 1]
    return (f"several different values, all kept: {quoted(several)}",) if several else ()


def _audit(table: TableFile, points: Sequence[ReferencePoint], notes: tuple[str, ...]) -> Audit:
    by_metric: dict[str, list[float]] = {}
    for point in points:
        by_metric.setdefault(point.metric, []).append(point.value_pct)
    return Audit(
        rows=len(table.rows),
        read_as=table.read_as,
        keys={
            "backbone": tuple(sorted({point.backbone for point in points})),
            "dataset": tuple(sorted({point.dataset for point in points})),
        },
        measured=tuple(
            Measured(name=name, n=len(values), low=min(values), high=max(values), unit="%")
            for name, values in by_metric.items()
        ),
        notes=("no row has a learning rate, seed and method: they are reference points, not runs", *notes),
    )
