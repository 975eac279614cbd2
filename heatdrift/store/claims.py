"""Claims: which process is running a cell, so that no cell runs twice at the same time.

A claim is the file ``running.json`` in the cell's folder, created exclusively and removed at the end. It is a lease: a
thread of its owner renews the heartbeat, also through an epoch longer than the lease, and a claim whose process is dead
(same machine) or whose heartbeat is old (any machine) is taken over. Deciding and writing happen under one lock per
study, so two processes never both take a stale claim.

No wall clock decides. On the machine that made a claim its age is read from the monotonic clock, elsewhere from the
file times that the file system's own clock sets; a clock that jumps neither frees a claim nor keeps one.
"""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from heatdrift.decoding import or_none, read_whole
from heatdrift.errors import StoreError
from heatdrift.records import Cell
from heatdrift.store.files import create_bytes, exclusive_lock, remove_old_temporary, write_bytes

STALE_AFTER_S: Final = 300.0
CLAIM_FILE: Final = "running.json"
_LOCK: Final = ".claims.lock"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What running.json says.

    Attributes
    ----------
    host, boot : machine and its boot (empty where the system does not name one).
    pid_space : process-number namespace: `pid` means nothing elsewhere.
    pid, pid_started : the process and its start (clock ticks since boot; None where the system does not tell), because
        process numbers are used again.
    token : random; tells this claim from any other of the same process.
    started_at, heartbeat : Unix time in seconds, for people.
    beat : the heartbeat by the machine's monotonic clock, in seconds.
    cell : what is being run, so that a killed run can be recorded by whoever finds it.
    attempts : how many attempts the cell had before: with one more, the run was killed after it wrote its record.
    """

    host: str
    boot: str
    pid_space: str
    pid: int
    pid_started: int | None
    token: str
    started_at: float
    heartbeat: float
    beat: float
    cell: Cell | None = None
    attempts: int = 0


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _pid_started(pid: int) -> int | None:
    """Return when a process started; -1 for one that has ended and only waits to be noticed by its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return -1 if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def read_claim(folder: Path) -> Running | None:
    """Return the claim on a cell, stale or not; None when there is none or it is damaged (that binds nobody)."""
    return or_none(lambda: msgspec.json.decode(read_whole(folder / CLAIM_FILE), type=Running))


def heartbeat_age_s(folder: Path, running: Running) -> float:
    """Return seconds since the claim's last heartbeat, by a clock that cannot jump between the two (see the module)."""
    if running.boot and running.boot == _boot():
        return time.monotonic() - running.beat
    try:
        written = (folder / CLAIM_FILE).stat().st_mtime
    except OSError:
        return float("inf")
    return _file_system_time(folder.parent / _LOCK) - written


def _file_system_time(lock: Path) -> float:
    """Return now by the clock that stamps files in this folder: on a shared disk the server's, the same for all."""
    try:
        os.utime(lock)
        return lock.stat().st_mtime
    except OSError:  # read-only, as for somebody who only looks at the status
        return time.time()


def is_live(folder: Path, running: Running, *, stale_after_s: float = STALE_AFTER_S) -> bool:
    """Whether the process of the claim on `folder` may still be at work.

    A heartbeat from the future by more than `stale_after_s` counts as old.
    """
    if running.host == socket.gethostname() and running.pid_space == _pid_space():
        if running.boot != _boot() or not _is_running(running.pid):
            return False
        if running.pid_started is not None and _pid_started(running.pid) != running.pid_started:
            return False
    return abs(heartbeat_age_s(folder, running)) <= stale_after_s


class Claim:
    """A held claim; a context manager that gives it back. Made by `claim`."""

    def __init__(self, folder: Path, running: Running, *, stale_after_s: float) -> None:
        self.folder = folder
        self.running = running
        self.stale_after_s = stale_after_s
        self.lost = False

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
        """Renew the heartbeat; return whether the claim is still ours (``lost`` keeps the answer)."""
        with study_lock(self.folder):
            if not self.held:
                self.lost = True
                return False
            self.running = msgspec.structs.replace(self.running, heartbeat=time.time(), beat=time.monotonic())
            write_bytes(self.folder / CLAIM_FILE, msgspec.json.encode(self.running))
        return True

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Renew the heartbeat from a thread, ten times per lease, until the block ends or the claim is lost."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.stale_after_s / 10):
                with contextlib.suppress(StoreError):  # a disk that is full for a moment; the lease is ten beats long
                    if not self.refresh():
                        return

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def release(self) -> None:
        """Remove running.json if it is still ours."""
        with study_lock(self.folder):
            if self.held:
                (self.folder / CLAIM_FILE).unlink(missing_ok=True)


def study_lock(folder: Path) -> AbstractContextManager[None]:
    """Lock under which the claims of a study change hands; `folder` is that of one of its cells."""
    return exclusive_lock(folder.parent / _LOCK, doing="claim a cell")


def claim(
    folder: Path, cell: Cell | None = None, *, attempts: int = 0, stale_after_s: float = STALE_AFTER_S
) -> Claim | None:
    """Claim the cell of `folder` for this process; None when another live process has it.

    Parameters
    ----------
    folder : the cell's folder (made if missing).
    cell, attempts : what will be run there, and the attempts it has; see `Running`.
    stale_after_s : age in seconds of a heartbeat from which a claim is taken over.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    running = Running(
        host=socket.gethostname(),
        boot=_boot(),
        pid_space=_pid_space(),
        pid=os.getpid(),
        pid_started=_pid_started(os.getpid()),
        token=uuid.uuid4().hex,
        started_at=time.time(),
        heartbeat=time.time(),
        beat=time.monotonic(),
        cell=cell,
        attempts=attempts,
    )
    with study_lock(folder):
        path = folder / CLAIM_FILE
        earlier = read_claim(folder)
        if earlier is not None and is_live(folder, earlier, stale_after_s=stale_after_s):
            return None
        path.unlink(missing_ok=True)
        if not create_bytes(path, msgspec.json.encode(running)):  # only without working locks
            return None
        remove_old_temporary(folder)
    return Claim(folder, running, stale_after_s=stale_after_s)


def take_stale(folder: Path, *, stale_after_s: float = STALE_AFTER_S) -> Running | None:
    """Remove the claim on `folder` if its process is gone, and return it; None when there is none or it is live."""
    with study_lock(folder):
        running = read_claim(folder)
        if running is not None and is_live(folder, running, stale_after_s=stale_after_s):
            return None
        (folder / CLAIM_FILE).unlink(missing_ok=True)
    return running
