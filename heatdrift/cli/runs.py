"""Runs of one study as frames, for the commands that compute, and the options that choose them."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from heatdrift.cli.method_titles import name_methods
from heatdrift.cli.options import (
    BackboneOption,
    DatasetOption,
    FactorOption,
    LrOption,
    MethodOption,
    ResultFormat,
    ResultFormatOption,
    SeedOption,
    StoredStudyOption,
    StoreOption,
    TransferOption,
    VerboseOption,
)
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import UnknownNameError, nearest_lr

if TYPE_CHECKING:
    import polars as pl

    from heatdrift.cli.run_arrays import RunArrays
    from heatdrift.questions.base import StudyRuns
    from heatdrift.store.folder import ArrayKind
    from heatdrift.store.read import View


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What the options chose, and the store they chose from; empty = all."""

    study: str | None = None
    backbone: str | None = None
    dataset: Sequence[str] = ()
    method: Sequence[str] = ()
    lr: Sequence[float] = ()
    seed: Sequence[int] = ()
    factor: Sequence[str] = ()
    transfer: str | None = None
    store: Path | None = None


_SHARED: Final = ("chosen", "fmt", "verbose")
_CHOICES: Final[dict[str, Any]] = {
    "study": StoredStudyOption,
    "backbone": BackboneOption,
    "dataset": DatasetOption,
    "method": MethodOption,
    "lr": LrOption,
    "seed": SeedOption,
    "factor": FactorOption,
    "transfer": TransferOption,
    "store": StoreOption,
}


def chooses_runs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose runs and the output format.

    Typer reads options from a function's signature, so the returned function has the command's own options followed by
    the shared ones; the command itself takes them as `chosen` (a Selection), `fmt` (a ResultFormat) and `verbose`.
    """
    own = [p for p in inspect.signature(command).parameters.values() if p.name not in _SHARED]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, keyword, default=None, annotation=a) for n, a in _CHOICES.items()]
    shared.append(inspect.Parameter("fmt", keyword, default=ResultFormat.table, annotation=ResultFormatOption))
    shared.append(inspect.Parameter("verbose", keyword, default=False, annotation=VerboseOption))

    @functools.wraps(command)
    def with_choices(**options: Any) -> None:  # noqa: ANN401 (each option has its own type)
        given = {name: options.pop(name) for name in _CHOICES}
        chosen = Selection(**{name: value for name, value in given.items() if value is not None})
        command(chosen=chosen, **options)

    signature = inspect.Signature([*(p.replace(kind=keyword) for p in own), *shared])
    with_choices.__signature__ = signature  # type: ignore[attr-defined]
    return with_choices


def study_of(chosen: Selection) -> str:
    """Name of the study that the options chose, or the only one of the store."""
    from heatdrift.store.ingest import open_current

    work = Workspace.of(chosen.store)
    with open_current(work.store) as connection:
        return work.stored_study(connection, chosen.study)


def selected_views(
    chosen: Selection, *views: str, metrics: Sequence[str] = (), unknown_as_null: bool = False
) -> "list[pl.DataFrame]":
    """Rows of ``runs`` that the options chose, of every status, then those of other views (with a cell_id).

    The zero-shot columns are those of the transfer set that was chosen. Of `metrics`, those of a transfer set or a
    corruption by name (``questions/further_metrics.py``) are added as columns, NULL where no run has them if
    `unknown_as_null`.

    Raises
    ------
    StoreError : no store, or several studies and none named.
    UnknownNameError : an option names a value that the study does not have.
    """
    from heatdrift.questions.further_metrics import is_further, on_transfer_set, with_metrics
    from heatdrift.store.ingest import open_current
    from heatdrift.store.read import read_view

    work = Workspace.of(chosen.store)
    with open_current(work.store) as connection:
        study = work.stored_study(connection, chosen.study)
        runs = chosen_rows(read_view(connection, "runs", study=study), chosen, study)
        name_methods((runs, work.kept_plan(study)))
        transfer, robustness, further = (
            read_view(connection, view, study=study) if chosen.transfer or any(map(is_further, metrics)) else None
            for view in ("transfer", "robustness", "further")
        )
        others = [read_view(connection, cast("View", view), study=study) for view in views]
    if transfer is not None and robustness is not None:
        where = f"study {study}"
        runs = with_metrics(
            runs, transfer, robustness, metrics, further=further, where=where, unknown_as_null=unknown_as_null
        )
        runs = on_transfer_set(runs, transfer, chosen.transfer, where=where) if chosen.transfer else runs
    return [runs, *(other.join(runs.select("cell_id"), on="cell_id", how="semi") for other in others)]


def run_arrays(chosen: Selection, runs: "pl.DataFrame", kind: "ArrayKind") -> "RunArrays":
    """Arrays that lie in the folders of the chosen runs."""
    from heatdrift.cli.run_arrays import RunArrays

    return RunArrays(Workspace.of(chosen.store).store_folder, runs, kind)


def study_rows(chosen: Selection, *, conf_level: float, note: Callable[[str], None]) -> "StudyRuns":
    """Rows of the chosen runs, with what their study asks: what ``stats all`` is asked of.

    Parameters
    ----------
    conf_level : of all intervals, in (0, 1).
    note : takes a sentence about a question that could not be answered.
    """
    from heatdrift.questions.base import StudyRuns

    asked = Workspace.of(chosen.store).questions(study_of(chosen), chosen.study)
    runs, epochs, layers, heads = selected_views(
        chosen, "epochs", "layers", "heads", metrics=asked.metrics, unknown_as_null=True
    )
    at_end = runs.select("cell_id", "selected_epoch")
    layers, heads = (
        view.join(at_end, left_on=["cell_id", "epoch"], right_on=["cell_id", "selected_epoch"], how="semi")
        for view in (layers, heads)
    )
    return StudyRuns(
        runs=runs,
        epochs=epochs,
        layers=layers,
        heads=heads,
        asked=asked,
        conf_level=conf_level,
        note=note,
        hits=run_arrays(chosen, runs, "hits"),
    )


def chosen_rows(runs: "pl.DataFrame", chosen: Selection, study: str) -> "pl.DataFrame":
    """Rows of ``runs`` that the options chose, of every status; UnknownNameError for a level that there is not."""
    backbone = [chosen.backbone] if chosen.backbone else []
    axes: tuple[tuple[str, Sequence[object]], ...] = (
        ("backbone", backbone),
        ("dataset", chosen.dataset),
        ("method", chosen.method),
        ("lr", chosen.lr),
        ("seed", chosen.seed),
    )
    for column, wanted in axes:
        known = sorted(set(runs[column].to_list()))
        for value in wanted:
            if value not in known:
                near = nearest_lr(value, known) if isinstance(value, float) else None
                raise UnknownNameError(column, str(value), map(str, known), where=f"study {study}", nearest=near)
        if wanted:
            runs = runs.filter(runs[column].is_in(list(wanted)))
    from heatdrift.own_factors import of_levels

    return of_levels(runs, chosen.factor, where=f"study {study}") if chosen.factor else runs
