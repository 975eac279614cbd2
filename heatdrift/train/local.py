"""The local executor: cells in worker processes of this machine.

Each worker has a pipe of its own and is handed one cell at a time, so there is no shared queue that a killed worker
could leave locked. The parent imports no torch. Other executors (Ray, Slurm) need the same one function.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from heatdrift.errors import StoreError, TrainError
from heatdrift.methods import FAMILIES
from heatdrift.records import Cell
from heatdrift.store.claims import take_stale
from heatdrift.store.folder import cell_folder, count_attempts, write_record
from heatdrift.train.interrupt import LeadingInterruption, held_back
from heatdrift.train.worker import (
    PASSED_ON,
    Ended,
    Event,
    Stopped,
    Task,
    WorkerSettings,
    failed_record,
    heard_signals,
    work,
)

MAX_DEFAULT_JOBS = 8
MAX_GPU_JOBS = 2  # of one accelerator: two keep it busy with captured steps, and processes take turns
MAX_GPU_JOBS_PLAIN = 4  # plain steps leave it idle: four processes gave 2.6 times the cells of one on an H100
GPU_JOB_BYTES = 16 * 2**30  # a ViT-B/32 in training with its crops on the device, and room


def default_jobs(device: str, threads: int, *, free_bytes: int = 0, plain_steps: bool = False) -> int:
    """Processes to start when the user does not say.

    One per core on a CPU (at most 8); on an accelerator as many as its free memory holds, at most 2 (4 with plain
    steps) and at most one per core; one where its memory is not known.
    """
    if device != "cpu":
        most = MAX_GPU_JOBS_PLAIN if plain_steps else MAX_GPU_JOBS
        return max(1, min(free_bytes // GPU_JOB_BYTES, most, _cores() // threads))
    return max(1, min(_cores() // threads, MAX_DEFAULT_JOBS))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    cell: Cell | None = None


def run_cells(
    cells: Sequence[Cell],
    settings: WorkerSettings,
    *,
    jobs: int,
    on_event: Callable[[Event], None],
    seen: Mapping[str, int] | None = None,
    interruption: LeadingInterruption | None = None,
) -> dict[str, int]:
    """Train `cells` in `jobs` processes and return how many ended with each status.

    `seen` is the number of the current attempt of each cell (by id) when it was decided to run it; what others have
    finished since is not run again. By default the numbers of now.

    A worker that dies (killed, out of memory) costs its cell, which is recorded as failed, and is replaced. On
    KeyboardInterrupt workers are ended at once; what was finished stays finished. When the end is asked for by
    `interruption`, or by a signal to one of the workers, each finishes its step, writes a checkpoint, and no further
    cell begins.

    Raises
    ------
    TrainError : something that stops all cells, such as missing data or weights.
    """
    interruption = interruption or LeadingInterruption()
    told = False
    waiting = [_task(cell, settings, seen) for cell in reversed(cells)]
    counts: dict[str, int] = {}
    workers: list[_Worker] = []
    try:
        for _ in range(0 if interruption.requested() else min(jobs, len(cells))):
            workers.append(_start(settings))  # noqa: PERF401  a started worker must be in the list if the next one fails
        for worker in workers:
            _hand_out(worker, waiting)
        while workers:
            if not told and interruption.requested():
                told = True
                waiting.clear()
                _pass_on(workers)
            pipes = [worker.pipe for worker in workers]
            ready = wait(pipes) if told else wait([*pipes, interruption.bell], timeout=interruption.left_s())
            for worker in [w for w in workers if w.pipe in ready]:
                event = _receive(worker, settings, ending=told or interruption.requested())
                if isinstance(event, Stopped):
                    raise TrainError(event.message, hint=event.hint)
                on_event(event)
                if isinstance(event, Ended):
                    if event.status == "interrupted":
                        interruption.request(f"a signal to process {worker.process.pid}")
                        waiting.clear()
                    counts[event.status] = counts.get(event.status, 0) + 1
                    workers.remove(worker)
                    workers.extend(_next_cell(worker, waiting, settings))
    finally:
        for worker in workers:
            worker.process.kill()  # at once; files are renamed into place, so none is half
            _end(worker)
            _give_back(worker, settings)
    return counts


def _give_back(worker: _Worker, settings: WorkerSettings) -> None:
    """Remove the claim of a worker that was ended on purpose: its cell is planned again, not failed."""
    if worker.cell is not None:
        with contextlib.suppress(StoreError):  # the reason for ending comes first; a stale claim is taken over anyway
            take_stale(cell_folder(Path(settings.store_folder), settings.study.name, worker.cell.cell_id))


def _task(cell: Cell, settings: WorkerSettings, seen: Mapping[str, int] | None) -> Task:
    if seen is not None:
        return Task(cell=cell, seen=seen.get(cell.cell_id, 0))
    folder = cell_folder(Path(settings.store_folder), settings.study.name, cell.cell_id)
    return Task(cell=cell, seen=count_attempts(folder))


def _processes() -> ForkServerContext | SpawnContext:
    """A context whose processes start clean; where the system can fork, torch is imported once for all of them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    packages = dict.fromkeys(package for family in FAMILIES.values() for package in family.imports)
    context.set_forkserver_preload(["heatdrift.train.cell", *packages])  # read when the first process starts
    return context


def _start(settings: WorkerSettings) -> _Worker:
    """Start a worker that hears no signal before it can; the server that it is forked from hears none at all."""
    ours, theirs = multiprocessing.Pipe()
    process = _processes().Process(target=work, args=(theirs, settings), daemon=True)
    with held_back(heard_signals(settings)):
        resource_tracker.ensure_running()  # apart and first: when it starts its process it lets SIGTERM in again
    with held_back(heard_signals(settings)):
        process.start()
    theirs.close()
    return _Worker(process=process, pipe=ours)


def _hand_out(worker: _Worker, waiting: list[Task]) -> bool:
    task = waiting.pop() if waiting else None
    worker.cell = task.cell if task else None
    with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed when its pipe is read
        worker.pipe.send(task)
    return task is not None


def _pass_on(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.process.pid is not None and worker.process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.Signals[f"SIG{PASSED_ON}"])


def _receive(worker: _Worker, settings: WorkerSettings, *, ending: bool) -> Event:
    try:
        event: Event = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        assert worker.cell is not None
        if ending:  # the machine is being taken back: no fault of the cell
            _give_back(worker, settings)
            return Ended(cell=worker.cell, status="interrupted", error="its process was ended before it could save")
        error = f"its process ended with exit code {worker.process.exitcode} (killed, or out of memory: fewer --jobs)"
        store_folder, study = Path(settings.store_folder), settings.study.name
        take_stale(cell_folder(store_folder, study, worker.cell.cell_id))  # recorded here, with the exit code
        write_record(failed_record(worker.cell, study, settings.provenance, error), store_folder)
        return Ended(cell=worker.cell, status="failed", error=error)
    return event


def _next_cell(worker: _Worker, waiting: list[Task], settings: WorkerSettings) -> list[_Worker]:
    """The worker at its next cell, or a fresh one if it died; none when no cell waits."""
    if waiting and worker.process.exitcode is not None:
        _end(worker)
        worker = _start(settings)
    if _hand_out(worker, waiting):
        return [worker]
    _end(worker)
    return []


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.join(timeout=10)
