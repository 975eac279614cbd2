"""One worker process: takes cells over a pipe, trains each, writes its record. Started by ``train/local.py``."""

import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from heatdrift.config import StudySpec
from heatdrift.errors import HeatdriftError
from heatdrift.records import Cell, Provenance, RunRecord
from heatdrift.store.claims import claim
from heatdrift.store.folder import cell_folder, write_arrays, write_record

if TYPE_CHECKING:  # torch is imported in the worker process only
    from heatdrift.train.resources import Resources


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell is being trained."""

    cell: Cell


class EpochDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell finished one of its epochs (1-based)."""

    cell: Cell
    epoch: int


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell ended; ``busy`` means that another process holds it and nothing was done."""

    cell: Cell
    status: Literal["done", "diverged", "failed", "busy"]
    error: str | None = None
    wall_s: float = 0.0


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that no cell of this study can get past (data, weights, disk): the command must end."""

    message: str
    hint: str | None


Event = Started | EpochDone | Ended | Stopped


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a worker needs beside its cells."""

    study: StudySpec
    store_folder: str
    data_folder: str
    device: str
    threads: int
    provenance: Provenance


def work(pipe: Connection, settings: WorkerSettings) -> None:
    """Serve cells from `pipe` until it is closed or None arrives; send events back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it ends its workers
    import torch

    from heatdrift.train.resources import Resources

    torch.set_num_threads(settings.threads)
    resources = Resources.of(settings.study, Path(settings.data_folder), torch.device(settings.device))
    while (cell := _next(pipe)) is not None:
        try:
            pipe.send(_train(cell, resources, settings, pipe))
        except HeatdriftError as error:
            pipe.send(Stopped(message=error.message, hint=error.hint))
            return


def _next(pipe: Connection) -> Cell | None:
    try:
        received: Cell | None = pipe.recv()
    except EOFError:  # the parent is gone
        return None
    return received


def _train(cell: Cell, resources: "Resources", settings: WorkerSettings, pipe: Connection) -> Ended:
    from heatdrift.train.cell import run_cell

    store_folder, study = Path(settings.store_folder), settings.study.name
    folder = cell_folder(store_folder, study, cell.cell_id)
    held = claim(folder)
    if held is None:
        return Ended(cell=cell, status="busy")
    with held:
        pipe.send(Started(cell=cell))

        def on_epoch(epoch: int) -> None:
            held.refresh()
            pipe.send(EpochDone(cell=cell, epoch=epoch))

        try:
            outcome = run_cell(
                cell, study=study, resources=resources, provenance=settings.provenance, on_epoch=on_epoch
            )
        except HeatdriftError:
            raise
        except Exception as error:  # noqa: BLE001  a bug or a lack of memory in one cell must not take the others along
            record = failed_record(cell, study, settings.provenance, _advice(error))
            write_record(record, store_folder)
            return Ended(cell=cell, status="failed", error=record.error)
        if outcome.hits:
            write_arrays(folder, "hits", outcome.hits)
            write_arrays(folder, "gallery", outcome.gallery)
        write_record(outcome.record, store_folder)
    record = outcome.record
    return Ended(cell=cell, status=record.status, error=record.error, wall_s=record.wall_s or 0.0)


def failed_record(cell: Cell, study: str, provenance: Provenance, error: str) -> RunRecord:
    """Record of a run that ended without a result."""
    return RunRecord(study=study, cell_id=cell.cell_id, status="failed", error=error, cell=cell, provenance=provenance)


def _advice(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".splitlines()[0][:500]
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "out of memory" in text.lower():
        return f"{text} (out of memory: fewer --jobs, a smaller batch_size, or a larger machine)"
    return text
