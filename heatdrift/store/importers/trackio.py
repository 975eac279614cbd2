"""Import of trackio's SQLite files: one file a project, tables `metrics` (JSON a step) and `configs` (JSON a run)."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from heatdrift.errors import DataError
from heatdrift.store.importers.tracked import Tracked, by_step, flattened

_START: Final = b"SQLite format 3\x00"


def is_trackio(path: Path) -> bool:
    """Whether a file is a database with trackio's two tables."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(_START)) != _START:
                return False
        with closing(_opened(path)) as database:
            names = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (OSError, sqlite3.Error):
        return False
    return {"metrics", "configs"} <= names


def read_trackio(path: Path) -> Iterator[Tracked]:
    """Yield the runs of a project in the order in which they began.

    Raises
    ------
    DataError
        The file cannot be read as such a database.
    """
    try:
        with closing(_opened(path)) as database:
            columns = {row[1] for row in database.execute("PRAGMA table_info(metrics)")}
            key = "run_id" if "run_id" in columns else "run_name"  # the first versions know runs by their names
            metrics = database.execute(f"SELECT {key}, run_name, step, metrics FROM metrics ORDER BY id").fetchall()
            configs = dict(database.execute(f"SELECT {key}, config FROM configs").fetchall())
        names = {run: name for run, name, _, _ in metrics}
        for run, name in names.items():
            config = flattened(json.loads(configs.get(run, "{}")))
            yield Tracked(
                label=f"run {name}",
                settings={n: v for n, v in config if not n.startswith("_")} | {"run_name": name, "source": str(run)},
                steps=by_step(
                    (step, dict(flattened(json.loads(text)))) for own, _, step, text in metrics if own == run
                ),
            )
    except (sqlite3.Error, ValueError, TypeError) as cause:
        raise DataError(
            f"cannot read {path} as a trackio database: {cause}", hint="name trackio's PROJECT.db"
        ) from cause


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
