"""Import of trackio's SQLite files: one file a project, tables `metrics` (JSON a step) and `configs` (JSON a run)."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from heatdrift.decoding import decoding, or_none
from heatdrift.errors import DataError
from heatdrift.store.importers.tracked import Tracked, by_step, flattened

_HINT: Final = "name trackio's PROJECT.db"
_START: Final = b"SQLite format 3\x00"


def is_trackio(path: Path) -> bool:
    """Whether a file is a database with trackio's two tables."""

    def tables() -> set[str]:
        with path.open("rb") as stream:
            if stream.read(len(_START)) != _START:
                return set()
        with closing(_opened(path)) as database:
            return {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    return {"metrics", "configs"} <= (or_none(tables) or set())


def read_trackio(path: Path) -> Iterator[Tracked]:
    """Yield the runs of a project in the order in which they began.

    Raises
    ------
    DataError
        The file cannot be read as such a database.
    """
    if not path.is_file():  # opening a FIFO would wait for its writer
        raise DataError(f"cannot read {path}: not a regular file", hint=_HINT)
    with decoding(lambda said: DataError(f"cannot read {path} as a trackio database: {said}", hint=_HINT)):
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


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
