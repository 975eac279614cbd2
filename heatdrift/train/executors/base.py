"""What an executor is: one method, `run_cells`, that trains cells somewhere and has their records in the store folder.

Whatever runs the cells, the leading process alone brings records into the database, and a cell that ended is never
trained twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from heatdrift.errors import TrainError
from heatdrift.records import Cell
from heatdrift.train.interrupt import LeadingInterruption
from heatdrift.train.worker import Event, WorkerSettings

EXTRAS: Final[Mapping[str, str]] = {
    "ray": "ray",
    "slurm": "submitit",
}  # extra -> module that it installs


class Executor(Protocol):
    """Trains cells and tells what becomes of each."""

    def run_cells(
        self,
        cells: Sequence[Cell],
        settings: WorkerSettings,
        *,
        on_event: Callable[[Event], None],
        seen: Mapping[str, int] | None = None,
        interruption: LeadingInterruption | None = None,
    ) -> dict[str, int]:
        """Train `cells` and return how many ended with each status; every cell has one ``Ended`` among the events.

        Parameters
        ----------
        on_event : called in the process that called this, with what happens to the cells.
        seen : number of the current attempt of each cell (by id) when it was decided to run it; what others finished
            since is not run again. By default the numbers of now.
        interruption : asks for the end: cells that are out are given back, and end as ``interrupted``.

        Raises
        ------
        TrainError : something that stops all cells: data, weights, a cluster that does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Processes of this machine, `jobs` at once."""

    jobs: int

    def run_cells(
        self,
        cells: Sequence[Cell],
        settings: WorkerSettings,
        *,
        on_event: Callable[[Event], None],
        seen: Mapping[str, int] | None = None,
        interruption: LeadingInterruption | None = None,
    ) -> dict[str, int]:
        """See :class:`Executor`."""
        from heatdrift.train.local import run_cells

        return run_cells(cells, settings, jobs=self.jobs, on_event=on_event, seen=seen, interruption=interruption)


def module_of_extra(extra: str) -> Any:  # noqa: ANN401  a module without types
    """Import what an optional part of the package needs.

    Raises
    ------
    TrainError : it is not installed; the hint is the command that installs it.
    """
    module = EXTRAS[extra]
    try:
        return import_module(module)
    except ImportError as cause:
        hint = f"python -m pip install 'heatdrift[{extra}]'"
        raise TrainError(f"--executor {extra} needs {module}, which does not import: {cause}", hint=hint) from cause
