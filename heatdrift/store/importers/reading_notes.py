"""What is said about rows besides how they are read: infinite results, settings of training, overruled columns."""

from collections.abc import Collection, Iterable, Mapping

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import METRICS, RECIPE, TARGETS, TEXTS, ColumnMap
from heatdrift.store.importers.values import is_missing
from heatdrift.wording import counted, listed

Row = Mapping[str, object]


def endless(rows: Iterable[tuple[str, Row]], columns: ColumnMap) -> tuple[str, ...]:
    """Say which results are infinite: they are stored as missing."""
    found: dict[str, list[str]] = {}
    for label, row in rows:
        for name in METRICS:
            value = row.get(columns.source(name).column)
            if isinstance(value, str | float) and str(value).strip().lstrip("+-").casefold() in ("inf", "infinity"):
                found.setdefault(name, []).append(label)
    return tuple(
        f"{name}: {counted(len(labels), 'infinite value')} ({labels[0]}{' and others' if len(labels) > 1 else ''}) "
        "stored as missing"
        for name, labels in found.items()
    )


def recipe(rows: Iterable[tuple[str, Row]], columns: ColumnMap) -> tuple[str, ...]:
    """Say which settings of training do not tell runs apart, and which is not given: a recipe needs two of them."""
    held = {
        name
        for name in RECIPE
        if name in columns.constants or any(not is_missing(row.get(columns.source(name).column)) for _, row in rows)
    }
    if not {"epochs", "batch_size"} <= held:
        lost = sorted(held & {*RECIPE})
        lacking = listed(sorted({"epochs", "batch_size"} - held))
        return (
            (f"{listed(lost)} kept as further metrics, because there is no {lacking}: runs are not told apart by it",)
            if lost
            else ()
        )
    return () if "weight_decay" in held else ("weight_decay is not given: runs are stored without one",)


def overruled(rows: Iterable[tuple[str, Row]], columns: ColumnMap) -> tuple[str, ...]:
    """Say where a value for all rows goes before a column of that name which says otherwise."""
    said = []
    seen = list(rows)
    for name, value in columns.constants.items():
        held = {str(row[name]) for _, row in seen if not is_missing(row.get(name))} - {str(value)}
        if held:
            said.append(
                f"{name} is {value} for all rows, though a column {name!r} says otherwise "
                f"({counted(len(held), 'other value')})"
            )
    return tuple(said)


def refuse_percent_signs(columns: ColumnMap, signs: Collection[str], source: str) -> None:
    """Refuse `1%` where no percentage is meant: nobody says whether the rate is 1 or 0.01.

    Parameters
    ----------
    signs : columns of the source whose values had a percent sign.

    Raises
    ------
    DataError
        A column with percent signs is one of ours that holds other numbers, and the map gives no factor.
    """
    for name in TARGETS:
        taken = columns.source(name)
        if taken.column in signs and taken.factor == 1.0 and not name.endswith("_pct") and name not in TEXTS:
            raise DataError(
                f"{source}: the values of {name} (column {taken.column!r}) have percent signs; nothing was imported",
                hint=f'--map "{name}={taken.column}*0.01" if 1% is meant as 0.01, or write them as numbers',
            )
