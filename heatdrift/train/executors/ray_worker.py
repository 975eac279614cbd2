"""What runs on a Ray worker: one cell, from bytes to bytes. Nothing here needs the store folder."""

import hashlib
import pickle
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from heatdrift import __version__, provenance
from heatdrift.config import user_cache
from heatdrift.errors import HeatdriftError
from heatdrift.records import Cell
from heatdrift.train.executors.packed import Packed, train_packed
from heatdrift.train.worker import Event, Stopped, WorkerSettings, open_resources

if TYPE_CHECKING:
    from heatdrift.train.resources import Resources

_OPEN: dict[str, "tuple[WorkerSettings, Resources]"] = {}  # of this process: Ray gives it many cells of one study


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What is the same for all cells of a command: `settings`, and the folder of workers' files (None = temporary)."""

    settings: WorkerSettings
    work_folder: str | None


@dataclass(slots=True)
class Mailbox:
    """Becomes an actor next to the leading process: workers put events, the leading process takes them."""

    events: list[Event] = field(default_factory=list)

    def put(self, event: Event) -> None:
        """Keep one event."""
        self.events.append(event)

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        taken, self.events = self.events, []
        return taken


def train_on_worker(version: str, assignment: bytes, cell: bytes, mailbox: Any) -> Packed | Stopped:  # noqa: ANN401
    """Train a cell; `assignment` and `cell` are pickled, and read only where this is the same heatdrift.

    Returns
    -------
    The record and files of the cell, also of one that failed by an exception; Stopped for what no cell gets past.
    """
    host = socket.gethostname()
    if version != __version__:
        hint = f"install heatdrift {version} on all nodes"
        return Stopped(message=f"{host} has heatdrift {__version__}, the leading process {version}", hint=hint)

    def notify(event: Event) -> None:
        mailbox.put.remote(event)

    read: Assignment = pickle.loads(assignment)
    wanted: Cell = pickle.loads(cell)
    own = Path(tempfile.gettempdir()) / f"heatdrift-{_user()}"
    try:
        settings, resources = _open(read.settings, hashlib.sha256(assignment).hexdigest(), notify)
        work_folder = Path(read.work_folder) if read.work_folder else own
        return train_packed(wanted, settings, resources, work_folder=work_folder, notify=notify)
    except HeatdriftError as error:
        return Stopped(message=f"on {host}: {error.message}", hint=error.hint)


def _open(settings: WorkerSettings, key: str, notify: Any) -> "tuple[WorkerSettings, Resources]":  # noqa: ANN401
    """Settings as they are on this machine, and what its cells share; kept until a study of another key comes."""
    if key not in _OPEN:
        from heatdrift.train.device import resolve_device

        _OPEN.clear()
        local = msgspec.structs.replace(
            settings,
            device=resolve_device(settings.device),
            provenance=provenance.collect(),
            crop_folder=_crop_folder(settings.crop_folder),
        )
        _OPEN[key] = local, open_resources(local, notify)
    settings, resources = _OPEN[key]
    return settings, resources


def _crop_folder(wanted: str | None) -> str | None:
    """The leading process's folder of pictures where it can be made here too, else this user's own."""
    if wanted is None:
        return None
    try:
        Path(wanted).mkdir(parents=True, exist_ok=True)
    except OSError:
        cache = user_cache(None)
        return str(cache / "crops") if cache else None
    return wanted


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in many containers
        return "user"
