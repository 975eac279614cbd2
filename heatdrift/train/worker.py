"""One worker process: takes cells over a pipe, trains each, writes its record. Started by ``train/local.py``."""

import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from heatdrift.chance import ZeroShotBase
from heatdrift.config import StudySpec
from heatdrift.errors import HeatdriftError, out_of_memory
from heatdrift.plan.between import has_models_between, parent_cell
from heatdrift.records import FINISHED, Cell, Provenance, RunRecord, TransferRecord
from heatdrift.store.claims import claim
from heatdrift.store.folder import (
    cell_folder,
    count_attempts,
    current_record,
    restore_record,
    write_arrays,
    write_record,
)
from heatdrift.train.interrupt import DEFAULT_SIGNALS, Interrupted, Interruption, let_in, listen

if TYPE_CHECKING:  # torch is imported in the worker process only
    from heatdrift.model.adapt import AdaptedModel
    from heatdrift.model.backbone import Backbone
    from heatdrift.train.resources import Resources
    from heatdrift.train.selected_state import SelectedState


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell is being trained."""

    cell: Cell


class NearChance(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The base is near chance on a transfer set; sent at the start of every cell, for the parent to say once."""

    cell: Cell
    warning: str


class EpochDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell finished one of its epochs (1-based)."""

    cell: Cell
    epoch: int


class Preparing(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Pictures of a source are being decoded and resized, before the first cell that needs them."""

    source: str
    done: int
    total: int


class Noted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something was done otherwise than asked; every process sends it, for the parent to say once."""

    text: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell ended; ``busy`` means that another process runs it or has just finished it, and nothing was done.

    ``interrupted``: it was left within, has no record, and goes on from its checkpoint; ``error`` says why and where.
    ``test_acc_pct``, ``val_acc_pct`` and ``transfer`` are results at the selected epoch, as the record has them.
    """

    cell: Cell
    status: Literal["done", "diverged", "failed", "busy", "interrupted"]
    error: str | None = None
    wall_s: float = 0.0
    test_acc_pct: float | None = None
    val_acc_pct: float | None = None
    transfer: tuple[TransferRecord, ...] = ()


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that no cell of this study can get past (data, weights, disk): the command must end."""

    message: str
    hint: str | None


Event = Started | NearChance | EpochDone | Preparing | Noted | Ended | Stopped
PASSED_ON: Final = "TERM"  # the signal by which a parent ends its workers politely
WEIGHTS: Final = "weights"  # next to the record: the trained model, if it is kept
CHECKPOINT_EVERY_S: Final = 30.0  # on an accelerator: epochs are short there, and a checkpoint costs what one does
_PARENT_GONE = (BrokenPipeError, ConnectionResetError)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A cell to run, and the number of attempts it had when that was decided."""

    cell: Cell
    seen: int = 0


_ORPHANED = "the command that started it ended before the run did (killed?)"


class ClaimLostError(Exception):
    """Another process has taken the cell over: this one slept longer than its lease."""


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a worker needs besides its cells; ``signals`` end it politely."""

    study: StudySpec
    store_folder: str
    data_folder: str
    device: str
    threads: int
    provenance: Provenance
    crop_folder: str | None = None
    deterministic: bool = False
    compile: Literal["off", "graph", "compiled", "auto"] = "off"
    checkpoints: bool = True
    keep: tuple[Literal["checkpoint", "weights"], ...] = ()
    signals: tuple[str, ...] = DEFAULT_SIGNALS


def heard_signals(settings: WorkerSettings) -> tuple[str, ...]:
    """Names of the signals that a worker hears: those of the settings, and the one that its parent sends."""
    return tuple(dict.fromkeys((*settings.signals, PASSED_ON)))


def work(pipe: Connection, settings: WorkerSettings) -> None:
    """Serve cells from `pipe` until it is closed or None arrives; send events back.

    A signal, the parent's or one of its own, ends the cell politely; later cells are handed back as they are.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it ends its workers
    interruption = Interruption()
    listen(heard_signals(settings), interruption)
    let_in(heard_signals(settings))
    resources = open_resources(settings, pipe.send, interruption)
    try:
        while (task := _next(pipe)) is not None:
            pipe.send(train_task(task, resources, settings, pipe.send))
    except HeatdriftError as error:
        pipe.send(Stopped(message=error.message, hint=error.hint))
    except _PARENT_GONE:
        return


def open_resources(
    settings: WorkerSettings, notify: Callable[[Event], object], interruption: Interruption | None = None
) -> "Resources":
    """Set torch up as `settings` say, and return what the cells of this process share.

    `notify` is called with what is being prepared, and what went otherwise than asked;
    `interruption` may end the work in between.
    """
    import torch

    from heatdrift.train.device import make_deterministic
    from heatdrift.train.resources import Resources

    torch.set_num_threads(settings.threads)
    if settings.deterministic:
        make_deterministic()
    torch.backends.cudnn.allow_tf32 = False  # probes are float32, the patch embedding too
    crop_folder = Path(settings.crop_folder) if settings.crop_folder else None
    resources = Resources.of(
        settings.study, Path(settings.data_folder), torch.device(settings.device), crop_folder=crop_folder
    )

    def on_crops(source: str, done: int, total: int) -> None:
        notify(Preparing(source=source, done=done, total=total))
        resources.interruption.check()

    resources.on_crops = on_crops
    resources.interruption = interruption or Interruption()
    resources.compile = settings.compile
    resources.on_problem = lambda problem: notify(Noted(text=problem))
    return resources


def _next(pipe: Connection) -> Task | None:
    try:
        received: Task | None = pipe.recv()
    except EOFError:  # the parent is gone
        return None
    return received


def train_task(
    task: Task, resources: "Resources", settings: WorkerSettings, notify: Callable[[Event], object]
) -> Ended:
    """Claim a cell, train it, write its record; `notify` is called at its start and after its epochs.

    A claim that is lost on the way (a machine that slept) ends the run without a record: the cell is another's now. If
    it is lost after the last epoch, the record is kept as one more attempt. An interruption of `resources` gives the
    claim back, and leaves the checkpoint.

    Raises
    ------
    HeatdriftError
        Something that no cell of this study can get past; the claim is given back.
    """
    from heatdrift.train.cell import run_cell
    from heatdrift.train.checkpoint import FILE, Checkpoint, resume_key
    from heatdrift.train.selected_state import awaited_selected, write_selected

    cell, store_folder, study = task.cell, Path(settings.store_folder), settings.study.name
    folder = cell_folder(store_folder, study, cell.cell_id)
    key = resume_key(cell, settings.provenance, device=settings.device, threads=settings.threads)
    if resources.interruption.requested():
        return Ended(cell=cell, status="interrupted", error=f"{resources.interruption.reason}, before it began")
    held = claim(folder, cell, attempts=count_attempts(folder))
    if held is None:
        return Ended(cell=cell, status="busy")
    every_s = 0.0 if settings.device == "cpu" else CHECKPOINT_EVERY_S
    checkpoint = Checkpoint(folder / FILE, key, every_s, lambda: not held.lost) if settings.checkpoints else None
    with held, held.beating():
        restore_record(folder)  # whoever had the cell before may have been killed between its attempt and its record
        if finished_since(folder, task.seen):
            return Ended(cell=cell, status="busy")
        notify(Started(cell=cell))

        def on_base(transfer_set: str, base: ZeroShotBase) -> None:
            if base.near_chance:
                notify(NearChance(cell=cell, warning=base.warning(transfer_set, cell.backbone)))

        def on_epoch(epoch: int) -> None:
            if held.lost:
                raise ClaimLostError
            notify(EpochDone(cell=cell, epoch=epoch))

        def keep_weights(backbone: "Backbone", model: "AdaptedModel") -> None:
            from heatdrift.model.export import export_weights

            labels = {"study": study, "cell_id": cell.cell_id}
            export_weights(folder / WEIGHTS, backbone, model, metadata=labels)

        def keep_state(trained: Cell, state: "SelectedState") -> None:
            if has_models_between(settings.study, trained.method):
                write_selected(cell_folder(store_folder, study, trained.cell_id), trained, state)

        parent = parent_cell(cell)
        parent_folder = None if parent is None else cell_folder(store_folder, study, parent.cell_id)
        try:
            outcome = run_cell(
                cell,
                study=study,
                resources=resources,
                provenance=settings.provenance,
                checkpoint=checkpoint,
                on_base=on_base,
                on_epoch=on_epoch,
                on_selected=keep_weights if "weights" in settings.keep else lambda _backbone, _model: None,
                parent_state=awaited_selected(parent_folder, parent) if parent and parent_folder else None,
                on_trained=keep_state,
            )
        except HeatdriftError:
            raise
        except Interrupted as interrupted:
            if checkpoint:
                checkpoint.catch_up()
            where = f"{interrupted.reason} {interrupted.where or 'while it was prepared, or measured at its end'}"
            return Ended(cell=cell, status="interrupted", error=where)
        except ClaimLostError:
            return Ended(cell=cell, status="busy")
        except _PARENT_GONE:
            write_record(failed_record(cell, study, settings.provenance, _ORPHANED), store_folder)
            raise
        except Exception as error:  # noqa: BLE001  a bug or a lack of memory in one cell must not take the others along
            record = failed_record(cell, study, settings.provenance, _advice(error))
            write_record(record, store_folder)
            return Ended(cell=cell, status="failed", error=record.error)
        if outcome.hits:
            write_arrays(folder, "hits", outcome.hits)
            write_arrays(folder, "gallery", outcome.gallery)
        write_record(outcome.record, store_folder)
        if checkpoint and "checkpoint" not in settings.keep:
            checkpoint.remove()
    return ended_as(outcome.record)


def ended_as(record: RunRecord) -> Ended:
    """Return the event of a run that left `record`."""
    selected = next((e for e in record.epochs if e.epoch == record.selected_epoch), None)
    return Ended(
        cell=record.cell,
        status=record.status,
        error=record.error,
        wall_s=record.wall_s or 0.0,
        test_acc_pct=record.test_acc_pct,
        val_acc_pct=selected.val_acc_pct if selected else None,
        transfer=record.transfer,
    )


def finished_since(folder: Path, seen: int) -> bool:
    """Whether another process finished the cell after it was decided to run it."""
    if count_attempts(folder) <= seen:
        return False
    record = current_record(folder)
    return record is not None and record.status in FINISHED and record.attempt > seen


def failed_record(cell: Cell, study: str, provenance: Provenance, error: str) -> RunRecord:
    """Record of a run that ended without a result."""
    return RunRecord(study=study, cell_id=cell.cell_id, status="failed", error=error, cell=cell, provenance=provenance)


def _advice(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".splitlines()[0][:500]
    if out_of_memory(error):
        return f"{text} (out of memory: fewer --jobs, a smaller batch_size, or a larger machine)"
    return text
