"""W&B's export of a chart -> rows of runs: one column a run and metric, next to its smallest and largest value.

The header is `"Step","RUN - METRIC","RUN - METRIC__MIN","RUN - METRIC__MAX",...`; the first column is the chart's axis.
Nothing in it says what the settings of a run are: they come from the map, or the run's name is one of them.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from heatdrift.store.importers.table_file import TableFile
from heatdrift.store.importers.values import is_missing

RUN_NAME: Final = "Name"  # as in W&B's export of runs
_ENDS: Final = ("__MIN", "__MAX")
_BETWEEN: Final = " - "


def is_chart(table: TableFile) -> bool:
    """Whether every column but the first is a run's metric or its extremes, and at least one has its extremes."""
    names = table.names[1:]
    plain = [name for name in names if not name.endswith(_ENDS)]
    return (
        bool(plain)
        and all(_BETWEEN in name for name in plain)
        and all(name[: -len("__MIN")] in plain for name in names if name.endswith(_ENDS))
        and any(name.endswith(_ENDS) for name in names)
    )


def chart_rows(table: TableFile) -> TableFile:
    """Return one row per run and place on the axis: `Name`, the axis, and the metrics; values that are absent are not.

    A metric's own name may hold the mark between run and metric no more than the run's may: the last one counts.
    """
    axis = table.names[0]
    parts = {name: name.rsplit(_BETWEEN, 1) for name in table.names[1:] if not name.endswith(_ENDS)}
    rows = [
        {RUN_NAME: run, axis: row.get(axis)} | values
        for run in dict.fromkeys(run for run, _ in parts.values())
        for row in table.rows
        if (values := _values(row, run, parts))
    ]
    metrics = tuple(dict.fromkeys(metric for _, metric in parts.values()))
    n_grouped = sum(_differs(row, name) for row in table.rows for name in parts)
    said = f"{table.read_as}; a W&B chart of {len({run for run, _ in parts.values()})} runs"
    said += f", {n_grouped} of its values are means of grouped runs" if n_grouped else ""
    return msgspec.structs.replace(
        table, names=(RUN_NAME, axis, *metrics), rows=rows, read_as=said, percent=_percent(table, parts)
    )


def _values(row: Mapping[str, object], run: str, parts: Mapping[str, list[str]]) -> dict[str, object]:
    own = {metric: row.get(name) for name, (own, metric) in parts.items() if own == run}
    return {metric: value for metric, value in own.items() if not is_missing(value)}


def _differs(row: Mapping[str, object], name: str) -> bool:
    """Whether a value has other extremes than itself: then it is the mean of several runs."""
    ends = [row.get(name + end) for end in _ENDS]
    return any(not is_missing(end) and str(end) != str(row.get(name)) for end in ends)


def _percent(table: TableFile, parts: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return the metrics of which every column had percent signs."""
    metrics = {metric for _, metric in parts.values()}
    plain = {metric for name, (_, metric) in parts.items() if name not in table.percent}
    return tuple(sorted(metrics - plain))
