"""Views -> polars frames, in a fixed order of rows, so that the same store gives the same tables."""

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

import duckdb
import polars as pl

from heatdrift.errors import StoreError, UnknownNameError

View = Literal[
    "runs", "epochs", "layers", "heads", "transfer", "robustness", "attempts", "cells", "further", "reference_points"
]
VIEWS: Final[tuple[View, ...]] = get_args(View)
ORDER: Final[dict[View, str]] = {
    "runs": "study, backbone, dataset, method, lr, seed, cell_id",
    "epochs": "study, cell_id, epoch",
    "layers": "study, cell_id, epoch, metric, layer",
    "heads": "study, cell_id, epoch, metric, layer, head",
    "transfer": "study, cell_id, transfer_set",
    "robustness": "study, cell_id, corruption",
    "attempts": "study, cell_id, attempt",
    "cells": "study, backbone, dataset, method, lr",
    "further": "study, cell_id, metric",
    "reference_points": "study, backbone, dataset, metric, source",
}


def read_view(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    *,
    study: str | None = None,
    backbone: Sequence[str] = (),
    dataset: Sequence[str] = (),
    method: Sequence[str] = (),
    lr: Sequence[float] = (),
    seed: Sequence[int] = (),
) -> pl.DataFrame:
    """Return a public view's rows (docs/schema.md), all columns, NULL as null.

    Parameters
    ----------
    connection : from ``ingest.open_current`` or ``connect.open_store``.
    study : one study; None = all.
    backbone, dataset, method, lr, seed : keep runs with one of these values; empty = all. `cells` averages over seeds,
        so it takes no `seed`; `reference_points` have a backbone and a data set only.
    """
    if view not in VIEWS:
        raise UnknownNameError("view", view, VIEWS)
    if view == "reference_points" and (method or lr or seed):
        raise ValueError("reference points are of pretrained models: they have no method, learning rate or seed")
    if view == "cells" and seed:
        raise ValueError("the view cells is averaged over seeds: select seeds on runs")
    conditions, values = ["study = $study"] if study is not None else [], {"study": study} if study is not None else {}
    chosen: dict[str, Any] = {}
    for column, wanted in {"backbone": backbone, "dataset": dataset, "method": method, "lr": lr, "seed": seed}.items():
        if wanted:
            chosen[column] = list(wanted)
    selection = " AND ".join(f"list_contains(${column}, {column})" for column in chosen)
    if selection and view in ("runs", "cells", "reference_points"):
        conditions.append(selection)
    elif selection:
        conditions.append(f"(study, cell_id) IN (SELECT (study, cell_id) FROM runs WHERE {selection})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"SELECT * FROM {view}{where} ORDER BY {ORDER[view]}"
    frame: pl.DataFrame = connection.sql(query, params={**values, **chosen} or None).pl()
    return frame


def studies(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the names of the studies in the store, in alphabetical order."""
    return tuple(row[0] for row in connection.sql("SELECT DISTINCT study FROM raw.run ORDER BY study").fetchall())


def resolve_study(connection: duckdb.DuckDBPyConnection, study: str | None) -> str:
    """Return `study` if the store has it, or the only study of the store when none is named.

    Raises
    ------
    StoreError
        The store is empty, or it holds several studies and none is named.
    UnknownNameError
        The store has no such study.
    """
    known = studies(connection)
    if not known:
        raise StoreError("the store holds no runs", hint="heatdrift train --all --study demo")
    if study is None:
        if len(known) > 1:
            raise StoreError(
                f"the store holds {len(known)} studies ({', '.join(known)}) and none is named",
                hint=f"add --study {known[0]}",
            )
        return known[0]
    if study not in known:
        raise UnknownNameError("study", study, known, where="the store")
    return study
