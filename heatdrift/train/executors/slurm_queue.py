"""Whether an element of a job array is over, also where Slurm keeps no accounts and while an element is requeued.

submitit asks sacct. Where a site keeps no accounts it knows nothing, and a job that was killed would be waited for
without end; and for a moment a preempted element counts as ended, although Slurm has queued it again. So an element
without a result is over when squeue does not have it any more.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

EVERY_S: Final = 60.0


@dataclass(slots=True, kw_only=True)
class Queue:
    """Asks squeue about an element at most once in `every_s` seconds, and not in its first ones."""

    every_s: float = EVERY_S
    now: Callable[[], float] = time.monotonic
    _asked: dict[str, float] = field(default_factory=dict)

    def over(self, job: Any) -> bool:  # noqa: ANN401  submitit has no types here
        """Whether `job` left its result, or ended without one."""
        if job.paths.result_pickle.exists():
            return True
        if not type(job).__name__.startswith("Slurm"):  # a process of this machine
            return bool(job.done())
        if not job.done() and job.state != "UNKNOWN":
            return False
        asked = self._asked.setdefault(job.job_id, self.now())
        if self.now() - asked < self.every_s:
            return False
        self._asked[job.job_id] = self.now()
        return not queued(job.job_id)


def queued(job_id: str) -> bool:
    """Whether Slurm's queue has a job, waiting or running; True where squeue does not answer."""
    command = ["squeue", "--noheader", "--array", "--jobs", job_id]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return True
    if asked.returncode != 0:
        return "Invalid job id" not in asked.stderr
    return bool(asked.stdout.strip())
