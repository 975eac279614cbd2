"""``--shard env``: which part of the cells this machine has, from what its scheduler set in the environment."""

from collections.abc import Mapping
from typing import Final

from heatdrift.errors import StudyError

_SCHEDULERS: Final = (  # index, number of parts, first index (None = 0)
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", None),
    ("SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES", None),
)


def shard_of(environment: Mapping[str, str]) -> str:
    """Return "i/n" (1-based) as the scheduler's variables say; the first scheduler that set its index counts.

    Raises
    ------
    StudyError : no scheduler set an index, its count is missing, one is no number, or the index is beyond the count.
    """
    for name, count_name, first_name in _SCHEDULERS:
        if name not in environment:
            continue
        index, count = _number(environment, name), _number(environment, count_name)
        first = _number(environment, first_name) if first_name and first_name in environment else 0
        if not first <= index < first + count:
            said = f"{name}={index} is beyond {count_name}={count}, counted from {first}"
            raise StudyError(said, hint="number the array's tasks without gaps, or give --shard i/n")
        return f"{index - first + 1}/{count}"
    names = ", ".join(name for name, _, _ in _SCHEDULERS)
    raise StudyError(f"--shard env: none of {names} is set", hint="run it as a job array, or give --shard i/n")


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not (text.isascii() and text.isdigit()):
        raise StudyError(f"--shard env: {name} is {text!r}, not a number", hint=f"set {name}, or give --shard i/n")
    return int(text)
