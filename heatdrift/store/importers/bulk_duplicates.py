"""Keys that occur several times in tables of a bulk import: identical rows are one, others need a rule.

A table is given as a temporary table `rows_in` in its own order (column `place`); `one_row_per_key` leaves `rows_out`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb

from heatdrift.errors import DuplicateRunsError
from heatdrift.store.importers.duplicates import Rule
from heatdrift.wording import counted

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "runs": ("study", "cell_id"),
    "epochs": ("study", "cell_id", "epoch"),
    "layers": ("study", "cell_id", "epoch", "metric", "layer"),
    "heads": ("study", "cell_id", "epoch", "metric", "layer", "head"),
    "transfer": ("study", "cell_id", "transfer_set"),
    "robustness": ("study", "cell_id", "corruption"),
    "further": ("study", "cell_id", "metric"),
}
_SETTINGS: Final = (
    "lr",
    "weight_decay",
    "warmup_fraction",
    "clip_norm",
    "adapter_live_max_diff",
    "adapter_off_max_diff",
)
_SAME: Final[Mapping[str, tuple[str, ...]]] = {  # what must agree before a mean is taken
    "runs": ("status", "selected_epoch", "dataset", "method", "lr", "seed", "n_test"),
    "transfer": ("n_images",),
}
_SHOWN: Final = 3


def one_row_per_key(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str], rule: Rule, source: Path
) -> tuple[int, dict[tuple[str, str], int]]:
    """Make `rows_out` from `rows_in`, one row per key of `view`.

    Parameters
    ----------
    columns : name -> type of every column but `place`.

    Returns
    -------
    Number of rows that repeated another one exactly; and (study, cell_id) -> most rows of one of its keys, where they
    differed.

    Raises
    ------
    DuplicateRunsError
        Rows of a key differ and `rule` is "refuse", or "mean" and they cannot be averaged.
    """
    key, names = KEYS[view], ", ".join(f'"{name}"' for name in columns)
    total = _count(connection, "SELECT count(*) FROM rows_in")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE rows_once AS SELECT {names}, min(place) AS place FROM rows_in GROUP BY {names}"
    )
    n_once = _count(connection, "SELECT count(*) FROM rows_once")
    n_keys = _count(connection, f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(key)} FROM rows_once)")
    if n_once == n_keys:
        connection.execute("CREATE OR REPLACE TEMP TABLE rows_out AS SELECT * EXCLUDE (place) FROM rows_once")
        return total - n_once, {}
    doubled = connection.execute(
        f"SELECT {', '.join(key)}, count(*) AS n FROM rows_once GROUP BY {', '.join(key)} HAVING n > 1 ORDER BY ALL"
    ).fetchall()
    if rule == "refuse":
        raise DuplicateRunsError(
            f"{source} holds {counted(len(doubled), f'key of {view}', f'keys of {view}')} several times with different "
            f"values: {_shown(doubled)}; nothing was imported",
            hint="--duplicates first, last or mean takes one of them, and every result that uses the run says so; "
            "or correct the table",
        )
    if rule == "mean":
        _refuse_mean(connection, view, key, source)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE rows_out AS {_chosen(view, key, columns, rule)}")
    found: dict[tuple[str, str], int] = {}
    for row in doubled:
        found[row[0], row[1]] = max(found.get((row[0], row[1]), 0), row[-1])
    return total - n_once, found


def _chosen(view: str, key: Sequence[str], columns: Mapping[str, str], rule: Rule) -> str:
    """Return the statement that keeps one row of each key, in its columns' order."""
    table = "rows_in" if rule == "mean" else "rows_once"  # a row that is there twice counts twice in a mean
    taken = []
    for name, kind in columns.items():
        if name in key:
            taken.append(f'"{name}"')
        elif rule == "mean" and kind == "DOUBLE" and not (view == "runs" and name in _SETTINGS):
            taken.append(f'avg("{name}") AS "{name}"')
        else:
            # the row decides, NULLs too: arg_min passes them over, a list does not
            taken.append(f'list("{name}" ORDER BY place)[{-1 if rule == "last" else 1}] AS "{name}"')
    if rule == "last":
        table = f"(SELECT * EXCLUDE (place), max(place) AS place FROM rows_in GROUP BY {_quoted(columns)})"
    return f"SELECT {', '.join(taken)} FROM {table} GROUP BY {', '.join(key)}"


def _refuse_mean(connection: duckdb.DuckDBPyConnection, view: str, key: Sequence[str], source: Path) -> None:
    for name in _SAME.get(view, ()):
        wrong = connection.execute(
            f"SELECT {', '.join(key)}, count(DISTINCT coalesce(CAST({name} AS VARCHAR), '')) AS n FROM rows_once "
            f"GROUP BY {', '.join(key)} HAVING n > 1 ORDER BY ALL"
        ).fetchall()
        if wrong:
            raise DuplicateRunsError(
                f"rows of {source} cannot be averaged: their {name} differ ({_shown(wrong)})",
                hint="--duplicates first or last, or correct the table",
            )


def _quoted(columns: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _shown(rows: Sequence[tuple[object, ...]]) -> str:
    first = ["/".join(str(part) for part in row[:-1]) for row in rows[:_SHOWN]]
    return "; ".join(first) + (f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
