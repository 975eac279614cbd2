"""What must hold of the tables of a bulk import before any of it is kept; the first row that breaks a rule is named."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import duckdb

from heatdrift.controls import CONTROL_SQL
from heatdrift.errors import DataError
from heatdrift.store.damage import first_line
from heatdrift.store.importers.lr_levels import lr_levels, said_levels
from heatdrift.store.importers.percent import PERCENT, Percent, Range, check_percent
from heatdrift.store.importers.values import is_missing
from heatdrift.store.validate import NAME

_PERCENT: Final = ("base_pct", "adapted_pct", "acc_pct")  # of the views transfer and robustness
NAMES: Final = ("backbone", "dataset", "method")
_RUNS: Final = {  # what must hold of runs: words -> condition under which a row is wrong
    "a study that cannot be a folder name": f"NOT regexp_full_match(study, '{NAME.pattern}')",
    "a cell_id that cannot be a folder name": f"NOT regexp_full_match(cell_id, '{NAME.pattern}')",
    "no backbone, dataset, method, lr or seed": "backbone IS NULL OR dataset IS NULL OR method IS NULL OR lr IS NULL "
    "OR seed IS NULL",
    "a control character in a name": " OR ".join(f"regexp_matches({name}, '{CONTROL_SQL}')" for name in NAMES),
    "a negative learning rate": "lr < 0",
    "a status other than done, diverged or failed": "status NOT IN ('done', 'diverged', 'failed')",
    "an accuracy outside 0 to 100": "test_acc_pct NOT BETWEEN 0 AND 100",
}
_FIRST, _LAST = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'"
_NAMED: Final = "'row ' || place || ', ' || coalesce(study, '?') || '/' || coalesce(cell_id, '?')"


def check_runs(connection: duckdb.DuckDBPyConnection, source: Path) -> None:
    """Check the rows of `rows_in`, which are runs; a name that is a word for no value (``values.py``) is none.

    Raises
    ------
    DataError
        A row breaks a rule.
    """
    for name in NAMES:
        found = connection.sql(f"SELECT DISTINCT {name} FROM rows_in WHERE {name} IS NOT NULL").fetchall()
        words = [word for (word,) in found if is_missing(word)]
        if words:
            connection.execute(f"UPDATE rows_in SET {name} = NULL WHERE list_contains(?, {name})", [words])
    for words_for_it, wrong in _RUNS.items():
        refuse(connection, f"SELECT {_NAMED} FROM rows_in WHERE {wrong} ORDER BY place", words_for_it, source)


def check_times(connection: duckdb.DuckDBPyConnection, relation: str, names: Collection[str], source: Path) -> None:
    """Refuse times of a table that are none between the years 1 and 9999, which is what Python and the views have.

    Parameters
    ----------
    relation : what stands after FROM; its columns have the types that they came with.
    names : of its columns that hold times.

    Raises
    ------
    DataError
        There is such a time; the column is named, and the row where DuckDB can read the column.
    """
    for name in sorted(names):
        words = f"{name} is no time between the years 1 and 9999"
        try:
            refuse(
                connection,
                f"SELECT 'row ' || place FROM (SELECT row_number() OVER () AS place, {name} AS given, "
                f"TRY_CAST({name} AS TIMESTAMP) AS moment FROM {relation}) WHERE given IS NOT NULL AND "
                f"(moment IS NULL OR moment NOT BETWEEN {_FIRST} AND {_LAST}) ORDER BY place",
                words,
                source,
            )
        except duckdb.ConversionException as cause:  # of milliseconds, already where DuckDB reads the column
            raise DataError(
                f"runs of {source}: {words} ({first_line(cause)})", hint="correct the table; nothing was imported"
            ) from cause


def check_epochs(connection: duckdb.DuckDBPyConnection, source: Path) -> None:
    """Refuse epochs in `rows_in` that count the first trained one as 0: here epoch 0 is the pretrained model.

    Raises
    ------
    DataError
        An epoch 0 has a training loss or accuracy.
    """
    refuse(
        connection,
        f"SELECT {_NAMED} FROM rows_in WHERE epoch = 0 AND coalesce(train_loss, train_acc_pct) IS NOT NULL "
        "ORDER BY place",
        "an epoch 0 with a training loss, but epoch 0 is the pretrained model: add 1 to epoch and selected_epoch",
        source,
    )


def check_fractions(connection: duckdb.DuckDBPyConnection, source: Path, rule: Percent) -> tuple[str, ...]:
    """Ask about percentages of `rows_in` that are all at most 1 (``percent.py``); return what is said about others."""
    ranges = {}
    for name in [row[0] for row in connection.sql("DESCRIBE rows_in").fetchall() if row[0] in (*PERCENT, *_PERCENT)]:
        n, low, high, n_small, small = connection.sql(
            f"SELECT count({name}), min({name}), max({name}), count(*) FILTER ({name} > 0 AND {name} <= 1), "
            f"'row ' || min(place) FILTER ({name} > 0 AND {name} <= 1) FROM rows_in"
        ).fetchall()[0]
        if n:
            ranges[name] = Range(n=n, low=low, high=high, n_small=n_small, small=small or "")
    return check_percent(ranges, {name: name for name in ranges}, (), rule, str(source))


def one_lr_level(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Make learning rates of `rows_in` that are one level one number (``lr_levels.py``); return what is said."""
    rates = dict(connection.sql("SELECT lr, count(*) FROM rows_in GROUP BY lr").fetchall())
    levels = lr_levels(rates)
    for value, level in levels.items():
        connection.execute("UPDATE rows_in SET lr = ? WHERE lr = ?", [level, value])
    return (said_levels(levels, rates),) if levels else ()


def refuse(connection: duckdb.DuckDBPyConnection, query: str, words: str, source: Path) -> None:
    """Raise DataError with `words` and the first row that `query` gives, if it gives any."""
    rows = connection.sql(f"SELECT * FROM ({query}) LIMIT 1").fetchall()
    if rows:
        raise DataError(f"runs of {source}: {words} ({rows[0][0]})", hint="correct the table; nothing was imported")
