"""train_cell: one cell of a study trained and measured in this process, without a store unless one is named."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from heatdrift.config import StudySpec
from heatdrift.errors import StudyError, nearest_lr
from heatdrift.plan.study import load_study
from heatdrift.questions.argument_types import checked

if TYPE_CHECKING:
    from heatdrift.api.store import Store
    from heatdrift.records import Cell
    from heatdrift.train.cell import CellOutcome


@checked
def train_cell(
    study: StudySpec | str,
    *,
    dataset: str,
    method: str,
    lr: float,
    seed: int,
    data_dir: str | Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    store: "Store | str | Path | None" = None,
) -> "CellOutcome":
    """Train one cell of a study, measure all probes, and return its record with the results of every image.

    Parameters
    ----------
    study : what `load_study` returns, or the name or file that it takes. A changed value of it is another study: its
        cells have other ids.
    dataset, method, lr, seed : the cell, from the grid of the study.
    data_dir : folder that relative paths of the study start from; None = the study file's folder, else the current one.
    device, threads : cpu, cuda, cuda:1, mps or auto; on a processor, equal numbers of threads give equal bits.
    store : write the record there and bring the database up to it; None = nothing is written.

    Raises
    ------
    UnknownNameError, StudyError
        A study or a value that there is not.
    DataError, ModelError
        Images or weights are missing, damaged or not the planned ones.

    Examples
    --------
    >>> import heatdrift
    >>> from msgspec.structs import replace
    >>> study = heatdrift.load_study("demo")  # a small CLIP on drawn images: nothing to download
    >>> study = replace(study, train=replace(study.train, epochs=1))
    >>> outcome = heatdrift.train_cell(study, dataset="beetles", method="lora_r8", lr=1e-2, seed=7)
    >>> outcome
    CellOutcome(done: beetles, lora_r8, lr 0.01, seed 7; 1 epoch)
    >>> outcome.record.transfer[0].transfer_set
    'combinations'
    """
    import torch

    from heatdrift.cli.workspace import planned_cells
    from heatdrift.plan.cells import select_cells
    from heatdrift.provenance import collect
    from heatdrift.train.cell import run_cell
    from heatdrift.train.device import resolve_device
    from heatdrift.train.inputs import check_inputs
    from heatdrift.train.resources import Resources

    spec = load_study(study) if isinstance(study, str) else study
    near = Path(study).parent if isinstance(study, str) and study.endswith(".toml") else Path()
    folder = Path(data_dir) if data_dir is not None else near / (spec.data_dir or "")
    planned = planned_cells(spec, folder)
    chosen = select_cells(planned, dataset=[dataset], method_name=[method], lr=[lr], seed=[seed])
    if not chosen:
        raise StudyError(*_not_planned(planned, dataset, method, lr, seed))
    check_inputs(spec, folder, [dataset])
    resources = Resources.of(spec, folder, torch.device(resolve_device(device)))
    with _as_in_a_worker(threads):
        outcome = run_cell(chosen[0], study=spec.name, resources=resources, provenance=collect())
    if store is not None:
        _keep(outcome, store)
    return outcome


@contextlib.contextmanager
def _as_in_a_worker(threads: int) -> Iterator[None]:
    """Compute as a worker of ``heatdrift train`` does, and leave the caller's settings as they were."""
    import torch

    before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # probes are float32, the patch embedding too
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _not_planned(planned: "tuple[Cell, ...]", dataset: str, method: str, lr: float, seed: int) -> tuple[str]:
    """Say that each value is in the grid, and no cell has all of them."""
    lrs = {cell.lr for cell in planned if (cell.dataset, cell.method, cell.seed) == (dataset, method, seed)}
    near = nearest_lr(lr, lrs)
    more = f"; that method has lr {near} there" if near else ""
    return (f"the study has no cell {dataset}, {method}, lr {lr:g}, seed {seed}{more}",)


def _keep(outcome: "CellOutcome", store: "Store | str | Path") -> None:
    from heatdrift.api.store import Store
    from heatdrift.store.folder import write_arrays, write_record

    place = store if isinstance(store, Store) else Store(store)
    folder = write_record(outcome.record, place.path.parent).path.parent
    if outcome.hits:
        write_arrays(folder, "hits", outcome.hits)
    if outcome.gallery:
        write_arrays(folder, "gallery", outcome.gallery)
    place.ingest()
