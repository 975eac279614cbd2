"""The leading process of a cluster without a shared disk: hands out cells, writes what comes back, tries again.

A cell whose worker was lost (killed, its machine gone) is tried again; an exception in a cell is its result and is not.
The claim on each cell that is out lies in the store folder here, and this process renews it, so that a second command
on the same store leaves those cells alone.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from heatdrift.errors import StoreError, TrainError
from heatdrift.records import Cell
from heatdrift.store.claims import STALE_AFTER_S, Claim, claim
from heatdrift.store.folder import cell_folder, count_attempts, restore_record, write_record
from heatdrift.train.executors.packed import Packed, unpack
from heatdrift.train.interrupt import LeadingInterruption
from heatdrift.train.worker import Ended, Event, Noted, Stopped, WorkerSettings, failed_record, finished_since

POLL_S: Final = 0.5
ROOM_WITHIN_S: Final = 60.0  # how long no machine may be large enough for one cell before that is an error


class WorkerLostError(Exception):
    """What ran a cell is gone; the cell says nothing about it."""


class Cluster(Protocol):
    """Machines that train one cell each time they are asked to; what a handle is, is theirs."""

    def room(self) -> int:
        """Return how many cells fit on the machines that are there now."""
        ...

    def need(self) -> str:
        """Say what one cell needs and what there is."""
        ...

    def start(self, cell: Cell) -> object:
        """Begin a cell and return its handle."""
        ...

    def ended(self, handles: Sequence[object], timeout_s: float) -> Sequence[object]:
        """Return those of `handles` that came to an end, waiting up to `timeout_s` seconds for the first."""
        ...

    def result(self, handle: object) -> Packed | Stopped:
        """Return what came of a handle that ended; WorkerLostError where nothing did."""
        ...

    def events(self) -> Iterable[Event]:
        """Return what workers said since the last call."""
        ...

    def cancel(self, handles: Iterable[object]) -> None:
        """End cells at once."""
        ...


@dataclass(slots=True)
class _Out:
    """A cell that is out at a worker."""

    cell: Cell
    held: Claim
    losses: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Driver:
    """Leads `cells` through a cluster.

    Attributes
    ----------
    at_once : cells that are out at most; None = as many as fit, and one that waits, for clusters that grow on demand.
    retries : how often a cell is tried again after its worker was lost.
    room_within_s : seconds without room for a single cell, after which that is an error.
    """

    cluster: Cluster
    settings: WorkerSettings
    on_event: Callable[[Event], None]
    at_once: int | None = None
    retries: int = 3
    room_within_s: float = ROOM_WITHIN_S
    poll_s: float = POLL_S
    counts: dict[str, int] = field(default_factory=dict)
    _out: dict[object, _Out] = field(default_factory=dict)

    def run(
        self,
        cells: Sequence[Cell],
        seen: Mapping[str, int] | None = None,
        interruption: LeadingInterruption | None = None,
    ) -> dict[str, int]:
        """Train `cells`; see ``base.Executor``."""
        waiting = deque(cells)
        attempts = seen if seen is not None else {cell.cell_id: count_attempts(self._folder(cell)) for cell in cells}
        had_room = beaten = time.monotonic()
        try:
            while waiting or self._out:
                if interruption is not None and interruption.requested():
                    self._give_back(str(interruption.reason))
                    break
                room = self.cluster.room()
                had_room = time.monotonic() if room else had_room
                if time.monotonic() - had_room > self.room_within_s:
                    raise TrainError(self.cluster.need(), hint="smaller --threads, --gpus or --memory, or larger nodes")
                while waiting and len(self._out) < (self.at_once or room + 1):
                    self._hand_out(waiting.popleft(), attempts)
                ended = self.cluster.ended(tuple(self._out), self.poll_s)
                self._pass_on(self.cluster.events())
                for handle in ended:
                    self._take(handle)
                if time.monotonic() - beaten > STALE_AFTER_S / 10:
                    self._beat()
                    beaten = time.monotonic()
        finally:
            self.cluster.cancel(tuple(self._out))
            for out in self._out.values():
                out.held.release()
        return self.counts

    def _give_back(self, reason: str) -> None:
        """End the cells that are out; another command takes them from what checkpoints their machines keep."""
        self.cluster.cancel(tuple(self._out))
        for out in self._out.values():
            out.held.release()
            self._end(Ended(cell=out.cell, status="interrupted", error=reason))
        self._out.clear()

    def _folder(self, cell: Cell) -> Path:
        return cell_folder(Path(self.settings.store_folder), self.settings.study.name, cell.cell_id)

    def _hand_out(self, cell: Cell, attempts: Mapping[str, int]) -> None:
        folder = self._folder(cell)
        held = claim(folder, cell, attempts=count_attempts(folder))
        if held is not None:
            restore_record(folder)
            if not finished_since(folder, attempts.get(cell.cell_id, 0)):
                self._out[self.cluster.start(cell)] = _Out(cell, held)
                return
            held.release()
        self._end(Ended(cell=cell, status="busy"))

    def _pass_on(self, events: Iterable[Event]) -> None:
        out = {each.cell.cell_id for each in self._out.values()}
        for event in events:  # a lost worker's last words may come after its cell ended elsewhere
            cell = getattr(event, "cell", None)
            if cell is None or cell.cell_id in out:
                self.on_event(event)

    def _take(self, handle: object) -> None:
        out = self._out[handle]
        try:
            found = self.cluster.result(handle)
            if isinstance(found, Packed):
                unpack(found, out.cell, study=self.settings.study.name, store_folder=Path(self.settings.store_folder))
        except (WorkerLostError, TrainError) as lost:  # TrainError: it came back damaged
            self._lost(handle, str(lost))
            return
        if isinstance(found, Stopped):
            raise TrainError(found.message, hint=found.hint)
        del self._out[handle]
        out.held.release()
        self._end(found.ended)

    def _lost(self, handle: object, reason: str) -> None:
        out = self._out.pop(handle)
        out.losses.append(reason)
        cell, tries = out.cell, len(out.losses)
        where = f"{cell.group} lr {cell.lr:g} seed {cell.seed}"
        if tries <= self.retries:
            self.on_event(Noted(text=f"{where}: its worker was lost ({reason}); try {tries + 1} of {self.retries + 1}"))
            self._out[self.cluster.start(cell)] = out
            return
        error = f"its worker was lost {tries} times, at last: {reason}"
        record = failed_record(cell, self.settings.study.name, self.settings.provenance, error)
        write_record(record, Path(self.settings.store_folder))
        out.held.release()
        self._end(Ended(cell=cell, status="failed", error=error))

    def _end(self, event: Ended) -> None:
        self.counts[event.status] = self.counts.get(event.status, 0) + 1
        self.on_event(event)

    def _beat(self) -> None:
        for out in self._out.values():
            try:
                out.held.refresh()
            except StoreError as problem:  # a disk that is full for a moment; the lease is ten beats long
                self.on_event(Noted(text=problem.message))
