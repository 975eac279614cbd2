"""A cell trained where the store folder is not: its record and arrays come back as bytes with checksums.

The worker trains into a store folder of its own, by the code that every worker runs, and packs what it finds there. The
leading process checks each file against its checksum and writes all of them as a local worker would: arrays first, the
record last, because the record is the moment at which a run counts.
"""

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from heatdrift.errors import RecordError, TrainError
from heatdrift.records import Cell
from heatdrift.store.files import write_bytes
from heatdrift.store.folder import cell_folder, decode_record, write_record
from heatdrift.train.worker import WEIGHTS, Ended, EpochDone, Event, Task, WorkerSettings, train_task

if TYPE_CHECKING:
    from heatdrift.train.resources import Resources

RECORD: Final = "record.json"
CHECKPOINT: Final = "checkpoint.pt"  # checkpoint.FILE, whose module brings torch along
_FILES: Final = (RECORD, "hits.npz", "gallery.npz", CHECKPOINT)


class PackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a cell's folder: its name there ("weights/adapter.safetensors"), content, and the content's hash."""

    name: str
    content: bytes
    sha256: str


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker sends back: how the cell ended, and its files."""

    ended: Ended
    files: tuple[PackedFile, ...]


def pack(folder: Path, ended: Ended) -> Packed:
    """Read the files of a cell's `folder` that belong to its result."""
    paths = [path for path in (folder / name for name in _FILES) if path.is_file()]
    paths += sorted(path for path in (folder / WEIGHTS).rglob("*") if path.is_file())
    files = []
    for path in paths:
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        files.append(PackedFile(name=name, content=content, sha256=hashlib.sha256(content).hexdigest()))
    return Packed(ended=ended, files=tuple(files))


def unpack(packed: Packed, cell: Cell, *, study: str, store_folder: Path) -> None:
    """Write what a worker sent into the store folder; nothing of it where one file is not what was sent.

    Raises
    ------
    TrainError : a file differs from its checksum, has a name that no cell's file has, or the record is another cell's.
    """
    folder = cell_folder(store_folder, study, cell.cell_id)
    found = {file.name: file for file in packed.files}
    for file in packed.files:
        _check(file, cell)
    if RECORD not in found:
        raise TrainError(f"what came back of cell {cell.cell_id} has no record", hint="run the same command again")
    try:
        record = decode_record(found[RECORD].content, folder / RECORD)
    except RecordError as cause:
        raise TrainError(f"the record that came back is damaged: {cause.problem}", hint=_AGAIN) from cause
    if (record.study, record.cell_id) != (study, cell.cell_id):
        raise TrainError(f"the record of {record.study}/{record.cell_id} came back for {cell.cell_id}", hint=_AGAIN)
    for name, file in found.items():
        if name != RECORD:
            write_bytes(folder / name, file.content)
    write_record(record, store_folder)


_AGAIN: Final = "run the same command again; if it stays, install the same heatdrift on all machines"


def _check(file: PackedFile, cell: Cell) -> None:
    parts = PurePosixPath(file.name).parts
    ours = file.name in _FILES or (len(parts) > 1 and parts[0] == WEIGHTS and ".." not in parts)
    if not ours or "\\" in file.name:
        raise TrainError(f"{file.name!r} came back of cell {cell.cell_id}, which no cell has", hint=_AGAIN)
    if hashlib.sha256(file.content).hexdigest() != file.sha256:
        raise TrainError(f"{file.name} of cell {cell.cell_id} was changed on its way here", hint=_AGAIN)


def train_packed(
    cell: Cell,
    settings: WorkerSettings,
    resources: "Resources",
    *,
    work_folder: Path,
    notify: Callable[[Event], object] = lambda _event: None,
) -> Packed:
    """Train `cell` in a folder of its own below `work_folder`, and return what belongs into the store.

    After each epoch the checkpoint of the one before is kept in `work_folder` under the cell's id, from where the next
    try goes on: on the same machine, or on any machine where `work_folder` is a shared disk.
    """
    kept = work_folder / "checkpoints" / f"{cell.cell_id}.pt"
    with _own_folder(work_folder, cell) as store_folder:
        own = msgspec.structs.replace(settings, store_folder=str(store_folder))
        folder = cell_folder(store_folder, settings.study.name, cell.cell_id)
        if settings.checkpoints:
            _copy(kept, folder / CHECKPOINT)

        def on_event(event: Event) -> None:
            if settings.checkpoints and isinstance(event, EpochDone):
                _copy(folder / CHECKPOINT, kept)
            notify(event)

        packed = pack(folder, train_task(Task(cell=cell), resources, own, on_event))
        if packed.ended.status != "failed":
            kept.unlink(missing_ok=True)
        return packed


def _copy(source: Path, target: Path) -> None:
    """Put `source` at `target`, whole or not at all; without a source nothing happens."""
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)  # a checkpoint is replaced, never written into, so both names can share its bytes
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)


@contextlib.contextmanager
def _own_folder(work_folder: Path, cell: Cell) -> Iterator[Path]:
    """Yield a new folder and remove it afterwards, and with it what killed tries of the cell left on this machine."""
    work_folder.mkdir(parents=True, exist_ok=True)
    begins = f"{cell.cell_id}.{socket.gethostname()}."
    for left in work_folder.glob(f"{begins}*"):
        pid = left.name.removeprefix(begins).partition(".")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{begins}{os.getpid()}.", dir=work_folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
