"""Runs of one study as a frame, for the commands that compute."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from heatdrift.cli.workspace import Workspace
from heatdrift.errors import UnknownNameError

if TYPE_CHECKING:
    import polars as pl


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What the options chose; empty = all."""

    study: str | None = None
    backbone: str | None = None
    dataset: Sequence[str] = ()
    method: Sequence[str] = ()
    lr: Sequence[float] = ()
    seed: Sequence[int] = ()


def selected_runs(store: Path | None, chosen: Selection) -> "pl.DataFrame":
    """Rows of the view ``runs`` of one study that the options chose; every status.

    Raises
    ------
    StoreError : no store, or several studies and none named.
    UnknownNameError : an option names a value that the study does not have.
    """
    from heatdrift.store.ingest import open_current
    from heatdrift.store.read import read_view, resolve_study

    with open_current(Workspace.of(store).store) as connection:
        study = resolve_study(connection, chosen.study)
        runs = read_view(connection, "runs", study=study)
    backbone = [chosen.backbone] if chosen.backbone else []
    axes: tuple[tuple[str, Sequence[object]], ...] = (
        ("backbone", backbone),
        ("dataset", chosen.dataset),
        ("method", chosen.method),
        ("lr", chosen.lr),
        ("seed", chosen.seed),
    )
    for column, wanted in axes:
        known = set(runs[column].to_list())
        for value in wanted:
            if value not in known:
                raise UnknownNameError(column, str(value), map(str, known), where=f"study {study}")
        if wanted:
            runs = runs.filter(runs[column].is_in(list(wanted)))
    return runs
