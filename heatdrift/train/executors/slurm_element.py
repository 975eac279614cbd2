"""One element of a Slurm job array: its share of the cells, one after the other, in the shared store folder.

It runs inside submitit, which requeues it at its signal (USR2: the time limit is near, or the element is preempted).
The signal first stops the cell that trains (checkpoint kept, claim given back); then submitit's own handler is called.
"""

import logging
import signal
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from heatdrift import provenance
from heatdrift.errors import HeatdriftError
from heatdrift.records import Cell
from heatdrift.store.claims import STALE_AFTER_S
from heatdrift.store.folder import cell_folder, count_attempts
from heatdrift.train.interrupt import INTERRUPTED, LeadingInterruption, listening
from heatdrift.train.worker import Ended, Event, Started, Stopped, WorkerSettings

AGAIN_AFTER_S: Final = 20.0
GIVE_UP_AFTER_S: Final = 2 * STALE_AFTER_S  # a cell of a dead machine is free by then


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of one element; `seen` is the number of attempts that each had when the array was submitted."""

    cells: tuple[Cell, ...]
    settings: WorkerSettings
    seen: dict[str, int]

    def left(self) -> tuple[Cell, ...]:
        """Return the cells that have no newer attempt: what an element that was requeued still has to do."""
        store_folder, study = Path(self.settings.store_folder), self.settings.study.name
        return tuple(
            cell
            for cell in self.cells
            if count_attempts(cell_folder(store_folder, study, cell.cell_id)) <= self.seen.get(cell.cell_id, 0)
        )


class Heard(LeadingInterruption):
    """Keeps the names of the signals that came, of which a site may send several, and never raises."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def hear(self, name: str) -> None:
        """Note a signal."""
        self.names.append(name)
        self.request(name)


class ArrayElement:
    """What submitit calls with a share, and asks what to run after a requeue: the same, which skips what is done."""

    def __call__(self, share: Share) -> Stopped | None:
        """Train the share; Stopped for what no cell gets past. Exits 75 after a signal that nobody requeues for."""
        interruption = Heard()
        try:
            with listening(share.settings.signals, interruption):
                interruption.lead()
                self._train(share, interruption)
        except HeatdriftError as error:
            return Stopped(message=error.message, hint=error.hint)
        if not interruption.requested():
            return None
        _log(f"{interruption.reason}: stopped, {len(share.left())} of {len(share.cells)} cells left")
        for name in interruption.names:
            handler = signal.getsignal(signal.Signals[name])
            if callable(handler):
                handler(signal.Signals[name], None)  # submitit's: requeues and exits where this is its signal
        raise SystemExit(INTERRUPTED)

    def checkpoint(self, share: Share) -> Any:  # noqa: ANN401  submitit has no types here
        """Return what submitit runs after a requeue."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, share)

    def _train(self, share: Share, interruption: LeadingInterruption) -> None:
        from heatdrift.train.device import resolve_device
        from heatdrift.train.local import run_cells

        settings = msgspec.structs.replace(
            share.settings, device=resolve_device(share.settings.device), provenance=provenance.collect()
        )
        until = time.monotonic() + GIVE_UP_AFTER_S
        while (left := share.left()) and not interruption.requested():
            counts = run_cells(left, settings, jobs=1, on_event=_say, seen=share.seen, interruption=interruption)
            if counts.keys() != {"busy"}:
                continue
            if time.monotonic() > until:
                return
            interruption.bell.poll(
                AGAIN_AFTER_S
            )  # the claim of an element that died with its machine is free after its lease


def _say(event: Event) -> None:
    """Write what happens to the log of the job."""
    if isinstance(event, Started):
        _log(f"{event.cell.cell_id} {event.cell.group} lr {event.cell.lr:g} seed {event.cell.seed} started")
    elif isinstance(event, Ended):
        _log(f"{event.cell.cell_id} {event.status}{f': {event.error}' if event.error else ''}")


def _log(text: str) -> None:
    logging.getLogger("submitit").info(text)
