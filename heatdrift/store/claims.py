"""Claims: which process is running a cell, so that no cell runs twice at the same time.

A claim is the file ``running.json`` in the cell's folder, created exclusively and removed at the end. It is a lease:
its owner refreshes the heartbeat, and a claim whose process is dead (same machine) or whose heartbeat is old (any
machine) is taken over. Deciding and writing happen under one lock per study, so two processes never both take a stale
claim.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from heatdrift.store.files import create_bytes, exclusive_lock, write_bytes

STALE_AFTER_S: Final = 300.0
_FILE: Final = "running.json"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What running.json says.

    Attributes
    ----------
    host, pid_space : machine and, where the system names one, process-number namespace: `pid` means nothing elsewhere.
    pid, pid_started : the process and its start (clock ticks since boot; None where the system does not tell), because
        process numbers are used again.
    token : random; tells this claim from any other of the same process.
    started_at, heartbeat : Unix time in seconds.
    """

    host: str
    pid_space: str
    pid: int
    pid_started: int | None
    token: str
    started_at: float
    heartbeat: float


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _pid_started(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_claim(folder: Path) -> Running | None:
    """Return the claim on a cell, stale or not; None when there is none or it is damaged (that binds nobody)."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def is_live(running: Running, *, stale_after_s: float = STALE_AFTER_S, clock: Callable[[], float] = time.time) -> bool:
    """Whether the process of a claim may still be at work.

    A heartbeat from the future by more than `stale_after_s` counts as old: a clock has jumped.
    """
    if running.host == socket.gethostname() and running.pid_space == _pid_space():
        if not _is_running(running.pid):
            return False
        if running.pid_started is not None and _pid_started(running.pid) != running.pid_started:
            return False
    return abs(clock() - running.heartbeat) <= stale_after_s


class Claim:
    """A held claim; a context manager that gives it back. Made by `claim`."""

    def __init__(self, folder: Path, running: Running, *, stale_after_s: float, clock: Callable[[], float]) -> None:
        self.folder = folder
        self.running = running
        self.stale_after_s = stale_after_s
        self._clock = clock
        self._refreshed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Whether running.json is still ours: after a long sleep another process may have taken the cell."""
        current = read_claim(self.folder)
        return current is not None and current.token == self.running.token

    def refresh(self) -> bool:
        """Renew the heartbeat; return whether the claim is still ours.

        Cheap enough to be called at every training step: it writes at most ten times per `stale_after_s`.
        """
        if time.monotonic() - self._refreshed < self.stale_after_s / 10:
            return True
        with _study_lock(self.folder):
            if not self.held:
                return False
            self.running = msgspec.structs.replace(self.running, heartbeat=self._clock())
            write_bytes(self.folder / _FILE, msgspec.json.encode(self.running))
        self._refreshed = time.monotonic()
        return True

    def release(self) -> None:
        """Remove running.json if it is still ours."""
        with _study_lock(self.folder):
            if self.held:
                (self.folder / _FILE).unlink(missing_ok=True)


def _study_lock(folder: Path) -> AbstractContextManager[None]:
    return exclusive_lock(folder.parent / ".claims.lock", doing="claim a cell")


def claim(
    folder: Path, *, stale_after_s: float = STALE_AFTER_S, clock: Callable[[], float] = time.time
) -> Claim | None:
    """Claim the cell of `folder` for this process; None when another live process has it.

    Parameters
    ----------
    folder : the cell's folder (made if missing).
    stale_after_s : age in seconds of a heartbeat from which a claim is taken over.
    clock : Unix time; a parameter for tests.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    now = clock()
    running = Running(
        host=socket.gethostname(),
        pid_space=_pid_space(),
        pid=os.getpid(),
        pid_started=_pid_started(os.getpid()),
        token=uuid.uuid4().hex,
        started_at=now,
        heartbeat=now,
    )
    with _study_lock(folder):
        path = folder / _FILE
        earlier = read_claim(folder)
        if earlier is not None and is_live(earlier, stale_after_s=stale_after_s, clock=clock):
            return None
        if path.exists():
            path.unlink()
        if not create_bytes(path, msgspec.json.encode(running)):  # only without working locks
            return None
    return Claim(folder, running, stale_after_s=stale_after_s, clock=clock)
