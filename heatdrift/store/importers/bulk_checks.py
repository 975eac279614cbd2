"""What must hold of the tables of a bulk import before any of it is kept; the first row that breaks a rule is named."""

from pathlib import Path
from typing import Final

import duckdb

from heatdrift.errors import DataError
from heatdrift.store.importers.values import is_missing
from heatdrift.store.validate import NAME

NAMES: Final = ("backbone", "dataset", "method")
_RUNS: Final = {  # what must hold of runs: words -> condition under which a row is wrong
    "a study that cannot be a folder name": f"NOT regexp_full_match(study, '{NAME.pattern}')",
    "a cell_id that cannot be a folder name": f"NOT regexp_full_match(cell_id, '{NAME.pattern}')",
    "no backbone, dataset, method, lr or seed": "backbone IS NULL OR dataset IS NULL OR method IS NULL OR lr IS NULL "
    "OR seed IS NULL",
    "a negative learning rate": "lr < 0",
    "a status other than done, diverged or failed": "status NOT IN ('done', 'diverged', 'failed')",
    "an accuracy outside 0 to 100": "test_acc_pct NOT BETWEEN 0 AND 100",
}
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


def refuse(connection: duckdb.DuckDBPyConnection, query: str, words: str, source: Path) -> None:
    """Raise DataError with `words` and the first row that `query` gives, if it gives any."""
    rows = connection.sql(f"SELECT * FROM ({query}) LIMIT 1").fetchall()
    if rows:
        raise DataError(f"runs of {source}: {words} ({rows[0][0]})", hint="correct the table; nothing was imported")
