"""How large the parts of a study are: cells that are left, how long they take, how much memory a process needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heatdrift.config import StudySpec
from heatdrift.errors import StudyError
from heatdrift.model.download import where_weights
from heatdrift.records import FINISHED
from heatdrift.train.status import CellState, time_left_s
from heatdrift.wording import counted, duration

DEFAULT_PARTS: Final = 16
UNKNOWN_LIMIT_S: Final = 4 * 3600.0
LIMIT_FACTOR: Final = 1.5  # of the estimate: machines differ, and a limit that is met only costs a requeue
LEAST_LIMIT_S: Final = 1800.0
MEMORY_FACTOR: Final = 1.25
PROCESS_BYTES: Final = 5 * 2**28  # 1.25 GiB: a process that trained the lab, whose weights are small, took 1.1 GiB
COPIES_OF_WEIGHTS: Final = 8  # base, adapted, gradients, two moments, selected state, two states of a checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What a job script needs to say.

    Attributes
    ----------
    cells : that are not finished; ``parts`` of them run at once, each part one after the other.
    limit_s : time limit of one part in seconds, with a reserve; ``time_words`` says from what.
    memory_gib : of one process; ``memory_words`` says from what.
    """

    cells: int
    parts: int
    limit_s: float
    time_words: str
    memory_gib: int
    memory_words: str

    @property
    def limit(self) -> str:
        """The time limit as HH:MM:00, rounded up to half hours."""
        halves = math.ceil(self.limit_s / 1800)
        return f"{halves // 2:02d}:{30 * (halves % 2):02d}:00"


def size_of(
    states: Sequence[CellState],
    *,
    spec: StudySpec,
    folder: Path,
    parts: int | None = None,
    measured_s: float | None = None,
    measured_bytes: int | None = None,
) -> Sizing:
    """Size the cells of `states` that are not finished.

    Parameters
    ----------
    measured_s, measured_bytes : time of all those cells one after the other, and peak memory of the process that
        measured it; without them, finished cells give the time, and the weights' file the memory.

    Raises
    ------
    StudyError : nothing is left to run.
    """
    n_open = sum(state.status not in FINISHED for state in states)
    if not n_open:
        raise StudyError(f"all {len(states)} cells of study {spec.name} are finished", hint="heatdrift report --html")
    n_parts = max(1, min(parts or DEFAULT_PARTS, n_open))
    share = math.ceil(n_open / n_parts) / n_open  # of the part with most cells
    total = time_left_s(states, workers=1)
    n_done = len(states) - n_open
    if total is not None:
        source = f"by {counted(n_done, 'finished cell')}"
    elif measured_s is not None:
        total, source = measured_s, "by steps measured here"
    if total is None:
        limit_s = UNKNOWN_LIMIT_S
        time_words = "not known, no cell is finished: 4 h are a guess (--measure times steps)"
    else:
        limit_s = max(LEAST_LIMIT_S, LIMIT_FACTOR * total * share)
        time_words = (
            f"about {duration(total * share)} a part, {duration(total)} in all, {source}; the limit is half more"
        )
    if measured_bytes is not None:
        memory = MEMORY_FACTOR * measured_bytes
        memory_words = f"{measured_bytes / 2**30:.1f} GiB measured here, and a quarter more"
    else:
        memory = process_bytes(spec, folder)
        memory_words = "a guess by the size of the weights (--measure measures)"
    return Sizing(
        cells=n_open,
        parts=n_parts,
        limit_s=limit_s,
        time_words=time_words,
        memory_gib=math.ceil(memory / 2**30),
        memory_words=memory_words,
    )


def process_bytes(spec: StudySpec, folder: Path) -> int:
    """Guess the memory of one process that trains cells of a study, from the size of its weights; without pictures."""
    path = where_weights(spec.backbone, folder)
    files = [] if path is None else [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return PROCESS_BYTES + COPIES_OF_WEIGHTS * sum(each.stat().st_size for each in files)


def available_bytes() -> int | None:
    """Memory of this machine that is free now; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def too_many_jobs(jobs: int, each_bytes: int, available: int | None) -> str | None:
    """Return what to say where `jobs` processes are guessed to need more memory than there is; None where they fit."""
    if available is None or jobs * each_bytes <= available:
        return None
    fit = max(1, available // each_bytes)
    return (
        f"{jobs} processes need about {jobs * each_bytes / 2**30:.0f} GiB, and {available / 2**30:.0f} GiB are free: "
        f"--jobs {fit} fits (a guess by the size of the weights)"
    )
