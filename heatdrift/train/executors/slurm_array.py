"""Slurm by submitit: a job array whose elements write records into the shared store folder, which this process watches.

The leading process waits for the array: it ingests what is finished, and tells what happens. What is known of a cell is
what lies in its folder, so nothing is lost if this process ends before the array does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from heatdrift.errors import RecordError, StoreError, TrainError
from heatdrift.records import Cell, RunRecord
from heatdrift.store.claims import read_claim, take_stale
from heatdrift.store.folder import attempt_files, cell_folder, count_attempts, read_record, write_record
from heatdrift.train.executors.base import module_of_extra
from heatdrift.train.executors.slurm_element import ArrayElement, Share
from heatdrift.train.executors.slurm_queue import Queue
from heatdrift.train.interrupt import LeadingInterruption
from heatdrift.train.worker import Ended, Event, Started, Stopped, WorkerSettings, ended_as, failed_record

POLL_S: Final = 5.0
DEFAULT_ELEMENTS: Final = 16
DEFAULT_MINUTES: Final = 240
_SHARED: Final = ("timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "name", "stderr_to_stdout")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmExecutor:
    """Cells as a job array.

    Attributes
    ----------
    elements : of the array, at most one a cell; each trains its share of the cells one after the other.
    gpus : of an element; None = 1, or 0 on the device "cpu". A whole number: Slurm shares no GPU by itself.
    memory_gb : of an element (GiB); None = what the partition gives.
    options : of submitit, such as {"partition": "gpu", "timeout_min": "600"}; "cluster" = "local" runs the elements as
        processes of this machine instead, to try everything without Slurm.
    """

    elements: int = DEFAULT_ELEMENTS
    gpus: float | None = None
    memory_gb: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    poll_s: float = POLL_S

    def run_cells(
        self,
        cells: Sequence[Cell],
        settings: WorkerSettings,
        *,
        on_event: Callable[[Event], None],
        seen: Mapping[str, int] | None = None,
        interruption: LeadingInterruption | None = None,
    ) -> dict[str, int]:
        """See ``base.Executor``."""
        submitit = module_of_extra("slurm")
        store_folder = Path(settings.store_folder).absolute()
        settings = msgspec.structs.replace(settings, store_folder=str(store_folder))
        study = settings.study.name
        had = {c.cell_id: count_attempts(cell_folder(store_folder, study, c.cell_id)) for c in cells}
        known = {**had, **(seen or {})}
        n = max(1, min(self.elements, len(cells)))
        shares = [Share(cells=tuple(cells[i::n]), settings=settings, seen=known) for i in range(n)]
        executor = self._executor(submitit, store_folder / ".slurm" / study / "%j", settings, study)
        try:
            jobs = executor.map_array(ArrayElement(), shares)
        except (RuntimeError, OSError) as cause:
            raise TrainError(f"Slurm did not take the array: {_first_line(cause)}", hint=_HINT) from cause
        queue, watch = Queue(), _Watch(settings=settings, seen=known, on_event=on_event)
        waiting = dict(zip(jobs, shares, strict=True))
        try:
            while waiting:
                if interruption is not None and interruption.requested():
                    watch.leave([cell for share in waiting.values() for cell in share.cells], str(interruption.reason))
                    break
                for job, share in list(waiting.items()):
                    over = queue.over(job)  # asked before the records are read: what it wrote is there by then
                    watch.look(share.cells)
                    if over:
                        watch.close(share.cells, job)
                        del waiting[job]
                time.sleep(self.poll_s if waiting else 0.0)
        finally:
            for job in waiting:
                job.cancel(check=False)
        return watch.counts

    def _executor(self, submitit: Any, folder: Path, settings: WorkerSettings, study: str) -> Any:  # noqa: ANN401
        options = dict(self.options)
        cluster = options.pop("cluster", "slurm")
        gpus = self.gpus if self.gpus is not None else float(settings.device != "cpu" and cluster == "slurm")
        if gpus != int(gpus):
            raise TrainError(f"--gpus {gpus:g}: an element of a job array has whole GPUs", hint="--gpus 1")
        given: dict[str, object] = {
            "name": f"heatdrift-{study}"[:64],
            "timeout_min": DEFAULT_MINUTES,
            "cpus_per_task": settings.threads + 1,  # one for the process that leads the element
            "gpus_per_node": int(gpus),
        }
        if self.memory_gb is not None:
            given["mem_gb"] = self.memory_gb
        for name, value in options.items():
            number = int(value) if value.isdigit() else value
            given[name if name in _SHARED else f"slurm_{name}"] = number
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            executor.update_parameters(**given)
        except (RuntimeError, NameError, ValueError, AssertionError, TypeError) as cause:
            raise TrainError(f"--executor slurm: {_first_line(cause)}", hint=_HINT) from cause
        return executor


_HINT: Final = (
    "run it where sbatch is, or try it here with --slurm cluster=local; --slurm KEY=VALUE takes submitit's parameters"
)


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What the store folder says of the cells of an array, as events."""

    settings: WorkerSettings
    seen: Mapping[str, int]
    on_event: Callable[[Event], None]
    counts: dict[str, int] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _started: set[str] = field(default_factory=set)

    def _folder(self, cell: Cell) -> Path:
        return cell_folder(Path(self.settings.store_folder), self.settings.study.name, cell.cell_id)

    def look(self, cells: Sequence[Cell]) -> None:
        """Tell of cells that began or ended since the last look."""
        for cell in cells:
            if cell.cell_id in self._ended:
                continue
            folder = self._folder(cell)
            if cell.cell_id not in self._started and read_claim(folder) is not None:
                self._started.add(cell.cell_id)
                self.on_event(Started(cell=cell))
            record = self._newest(folder, cell)
            if record is not None:
                self._end(ended_as(record))

    def _newest(self, folder: Path, cell: Cell) -> RunRecord | None:
        """Return the attempt that the array added to a cell, or what another process did meanwhile."""
        files = [path for path in attempt_files(folder) if int(path.stem) > self.seen.get(cell.cell_id, 0)]
        try:
            return read_record(files[-1]) if files else None
        except RecordError:  # its element is still there to write it, or close() says what became of it
            return None

    def close(self, cells: Sequence[Cell], job: Any) -> None:  # noqa: ANN401  submitit has no types here
        """Tell of the cells of an element that ended, and have no record.

        Raises
        ------
        TrainError : the element met what no cell gets past.
        """
        left_result = job.paths.result_pickle.exists() and job.exception() is None
        found = job.result() if left_result else None
        if isinstance(found, Stopped):
            raise TrainError(found.message, hint=found.hint)
        for cell in cells:
            if cell.cell_id in self._ended:
                continue
            if left_result:  # the element left it to another process
                self._end(Ended(cell=cell, status="busy"))
                continue
            error = f"job {job.job_id} ended without its record ({job.state}); its log: {job.paths.stderr}"
            try:
                take_stale(self._folder(cell))
            except StoreError as problem:
                error = f"{error}; {problem.message}"
            record = failed_record(cell, self.settings.study.name, self.settings.provenance, error)
            write_record(record, Path(self.settings.store_folder))
            self._end(Ended(cell=cell, status="failed", error=error))

    def leave(self, cells: Sequence[Cell], reason: str) -> None:
        """Tell of the cells that have not ended when the end is asked for."""
        for cell in cells:
            if cell.cell_id not in self._ended:
                self._end(Ended(cell=cell, status="interrupted", error=reason))

    def _end(self, event: Ended) -> None:
        self._ended.add(event.cell.cell_id)
        self.counts[event.status] = self.counts.get(event.status, 0) + 1
        self.on_event(event)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
