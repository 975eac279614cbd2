"""What a person sees while cells train: a line per cell that ended, and on a terminal a bar with the time left."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from heatdrift.cli.output import err
from heatdrift.records import Cell
from heatdrift.train.worker import Ended, EpochDone, Event, NearChance, Noted, Preparing
from heatdrift.wording import learning_rate

INGEST_EVERY_S: Final = 20.0


class TrainingProgress:
    """Takes the events of an executor; calls `ingest` now and then, so that finished cells can be queried at once.

    Parameters
    ----------
    cells : the cells that will run.
    ingest : brings finished records into the database.
    """

    def __init__(self, cells: Sequence[Cell], ingest: Callable[[], object]) -> None:
        self._total = len(cells)
        self._epochs = {cell.cell_id: cell.recipe.epochs if cell.recipe else 0 for cell in cells}
        self._left = dict(self._epochs)
        self._ended = 0
        self._warned = set[str]()
        self._ingest = ingest
        self._ingested_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self._task: TaskID = self._bar.add_task(self._words(), total=sum(self._epochs.values()))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, EpochDone):
            self._advance(event.cell, 1)
        elif isinstance(event, NearChance):
            self._once(f"caution: {event.warning}")
        elif isinstance(event, Noted):
            self._once(f"note: {event.text}")
        elif isinstance(event, Preparing):
            what = f"pictures of {event.source}: {event.done:,} of {event.total:,}"
            self._bar.update(self._task, description=self._words() if event.done == event.total else what)
        elif isinstance(event, Ended) and event.status == "interrupted":
            self._line(event)
        elif isinstance(event, Ended):
            self._ended += 1
            self._advance(event.cell, self._left[event.cell.cell_id])
            self._line(event)
            if time.monotonic() - self._ingested_at > INGEST_EVERY_S:
                self._ingest()
                self._ingested_at = time.monotonic()

    def _once(self, text: str) -> None:
        """Print what every cell of every process sends."""
        if text not in self._warned:
            self._warned.add(text)
            err.print(text, markup=False, soft_wrap=True)

    def _advance(self, cell: Cell, epochs: int) -> None:
        self._left[cell.cell_id] -= epochs
        self._bar.update(self._task, advance=epochs, description=self._words())

    def _words(self) -> str:
        return f"cells {self._ended}/{self._total}"

    def _line(self, event: Ended) -> None:
        cell = event.cell
        what = f"{cell.group} lr {learning_rate(cell.lr)} seed {cell.seed}"
        found = results(event)
        tail = f": {event.error}" if event.error else f" in {event.wall_s:.1f} s{': ' if found else ''}{found}"
        err.print(f"{self._ended}/{self._total} {what} {event.status}{tail}", markup=False, soft_wrap=True)


def results(event: Ended) -> str:
    """Accuracy and retention of a run that ended, as far as it has them; of its first transfer set, as on a page."""
    found = []
    if event.test_acc_pct is not None:
        found.append(f"test accuracy {event.test_acc_pct:.1f} %")
    elif event.val_acc_pct is not None:
        found.append(f"validation accuracy {event.val_acc_pct:.1f} %")
    for transfer in event.transfer[:1]:
        zero_shot = f"zero-shot {transfer.base_pct:.1f} -> {transfer.adapted_pct:.1f} % on {transfer.transfer_set}"
        if transfer.base_pct:
            retention = 100 * transfer.adapted_pct / transfer.base_pct
            zero_shot = f"retention {retention:.1f} % ({zero_shot})"
        found.append(zero_shot)
    return ", ".join(found)
