"""Store: a database of runs in Python; read_runs: the runs of a study as a frame."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from heatdrift.cli.runs import Selection, selected_views
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import StoreError, UnknownNameError
from heatdrift.questions.argument_types import checked

if TYPE_CHECKING:
    import polars as pl

    from heatdrift.image_results import Arrays
    from heatdrift.store.ingest import IngestReport
    from heatdrift.store.read import View
    from heatdrift.store.sql import Parameter


class Store:
    """A store of runs: read with views and SQL, brought up to date from the records next to it.

    Every call opens the database and closes it again, so a store never stands in the way of a training that writes.

    Parameters
    ----------
    path : the DuckDB file; None = that of heatdrift.toml or the environment, else ``runs/heatdrift.duckdb``. It is
        made from the records of its folder when there are some and it is not there yet.

    Examples
    --------
    >>> import heatdrift
    >>> store = heatdrift.Store.shipped()
    >>> store
    Store of mini: 80 runs
    >>> store.studies()
    ('mini',)
    >>> store.sql("select method, count(*) as n from runs group by all order by all").rows()
    [('full_ft', 40), ('lora_r8', 40)]
    >>> store.view("transfer", study="mini", seed=[7]).height
    16
    """

    @checked
    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Workspace.of(Path(path) if path is not None else None).store

    @classmethod
    def shipped(cls) -> Self:
        """Return the store of the study that comes with heatdrift, ``mini``; it is made once, in the user's cache."""
        from heatdrift.api.shipped import shipped_store

        return cls(shipped_store())

    def studies(self) -> tuple[str, ...]:
        """Return the names of the studies that have runs here, in alphabetical order."""
        from heatdrift.store.ingest import open_current
        from heatdrift.store.read import studies

        with open_current(self.path) as connection:
            return studies(connection)

    @checked
    def view(
        self,
        name: str,
        *,
        study: str | None = None,
        backbone: Sequence[str] = (),
        dataset: Sequence[str] = (),
        method: Sequence[str] = (),
        lr: Sequence[float] = (),
        seed: Sequence[int] = (),
    ) -> "pl.DataFrame":
        """Return rows of a public view (docs/schema.md) as a polars frame, in a fixed order.

        Parameters
        ----------
        name : runs, epochs, layers, heads, transfer, robustness, attempts, cells, further or reference_points.
        study : one study; None = all.
        backbone, dataset, method, lr, seed : keep runs with one of these values; empty = all.

        Raises
        ------
        StoreError
            There is no store, it is locked, newer or damaged. UnknownNameError: no such view or study.
        """
        from heatdrift.store.ingest import open_current
        from heatdrift.store.read import read_view, studies

        with open_current(self.path) as connection:
            if study is not None and study not in (known := studies(connection)):
                raise UnknownNameError("study", study, known, where=str(self.path))
            return read_view(
                connection,
                cast("View", name),
                study=study,
                backbone=backbone,
                dataset=dataset,
                method=method,
                lr=lr,
                seed=seed,
            )

    def hits(self, study: str | None = None) -> "Mapping[str, Arrays]":
        """Return cell id -> results of every image (``heatdrift.images`` takes them), read when one is asked for."""
        from heatdrift.cli.run_arrays import RunArrays

        runs = self.view("runs", study=study)
        return cast("Mapping[str, Arrays]", RunArrays(self.path.parent, runs, "hits"))

    @checked
    def sql(self, query: str, params: "Mapping[str, Parameter] | None" = None) -> "pl.DataFrame":
        """Return the rows of one statement that reads, as a polars frame; values are given as ``$name``.

        Raises
        ------
        QueryError
            SQL that DuckDB refuses, or that would write.
        """
        from heatdrift.store.sql import run_sql

        return run_sql(self.path, query, params)

    def ingest(self) -> "IngestReport":
        """Bring the database up to the records in its folder; twice changes nothing."""
        from heatdrift.store.ingest import ingest

        return ingest(self.path)

    def __repr__(self) -> str:
        counted = self.sql("select study, count(*) as n from runs group by all order by all").rows()
        return f"Store of {', '.join(f'{study}: {n} runs' for study, n in counted) or 'no runs'}"


@checked
def read_runs(
    study: str | None = None,
    *,
    store: "Store | str | Path | None" = None,
    backbone: str | None = None,
    dataset: Sequence[str] = (),
    method: Sequence[str] = (),
    lr: Sequence[float] = (),
    seed: Sequence[int] = (),
    transfer: str | None = None,
    metrics: Sequence[str] = (),
) -> "pl.DataFrame":
    """Return the runs of one study as a polars frame, one row per run of every status: what the questions are asked of.

    Parameters
    ----------
    study : its name; None = the only one of the store. The study that comes with heatdrift, ``mini``, is read from its
        own store where no other store is named and the usual one does not hold it.
    store : a store or the path of its DuckDB file; None = as `Store`.
    backbone, dataset, method, lr, seed : keep runs with one of these values; empty = all.
    transfer : the transfer set whose results are in the zero-shot columns; None = the study's first one.
    metrics : further columns to add: ``retention_pct@SET``, ``robustness.CORRUPTION``, ``further.NAME``.

    Raises
    ------
    StoreError
        There is no store; it is locked, newer than this heatdrift or damaged; it has several studies and none is named.
    UnknownNameError
        A study, or a value, that the store does not have: the nearest is named.

    Examples
    --------
    >>> import heatdrift
    >>> runs = heatdrift.read_runs("mini", dataset=["pets"], lr=[1e-4, 1e-3])
    >>> runs.shape[0], runs["retention_pct"].round(1).to_list()[:3]
    (20, [78.8, 80.1, 83.0])
    """
    chosen = Selection(
        study=study,
        backbone=backbone,
        dataset=dataset,
        method=method,
        lr=lr,
        seed=seed,
        transfer=transfer,
        store=store_file(study, store),
    )
    return selected_views(chosen, metrics=metrics)[0]


def store_file(study: str | None, store: "Store | str | Path | None") -> Path | None:
    """Return the DuckDB file to read; None = the usual one."""
    from heatdrift.api.shipped import SHIPPED, shipped_store

    if isinstance(store, Store):
        return store.path
    if store is not None:
        if not isinstance(store, str | Path):
            raise StoreError(
                f"a store is a Store, or the path of a DuckDB file, got {repr(store)[:60]}",
                hint="heatdrift.Store(PATH)",
            )
        return Path(store)
    return shipped_store() if study == SHIPPED and not _usual_has(SHIPPED) else None


def _usual_has(study: str) -> bool:
    """Whether the usual store has runs of a study, in its database or as records from which one is made."""
    from heatdrift.store.ingest import has_runs

    usual = Store()
    return study in usual.studies() if usual.path.exists() or has_runs(usual.path.parent) else False
