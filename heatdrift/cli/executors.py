"""Options of ``heatdrift train`` that say where cells run, and the executor that they make."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.errors import StudyError

if TYPE_CHECKING:
    from heatdrift.train.executors.base import Executor


class Where(StrEnum):
    """What runs the cells."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


ExecutorOption = Annotated[
    Where,
    typer.Option("--executor", help="Where cells run: processes here, a Ray cluster, a Slurm job array."),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="ray: HOST:6379 or ray://HOST:10001. Default: RAY_ADDRESS, else a Ray here."),
]
GpusOption = Annotated[
    float | None,
    typer.Option("--gpus", min=0, help="ray, slurm: GPUs of a cell; with ray also a part, such as 0.25. Default: 1."),
]
MemoryOption = Annotated[
    float | None,
    typer.Option("--memory", min=0.1, help="ray, slurm: GiB that a cell reserves; `heatdrift scale` says how many."),
]
RetriesOption = Annotated[
    int | None,
    typer.Option("--retries", min=0, help="ray: tries after the first of a cell whose worker was lost. Default: 3."),
]
WorkDirOption = Annotated[
    Path | None,
    typer.Option("--work-dir", help="ray: folder of checkpoints on the nodes; best a shared one. Default: temporary."),
]
SlurmOption = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm", help="slurm: KEY=VALUE of submitit, such as partition=gpu or timeout_min=240 (repeatable)."
    ),
]


def executor_of(
    where: Where,
    *,
    jobs: int | None,
    address: str | None,
    gpus: float | None,
    memory: float | None,
    retries: int | None,
    work_dir: Path | None,
    slurm: Sequence[str],
) -> "Executor | None":
    """Return the executor that the options describe; None = local, whose default jobs depend on the device.

    Raises
    ------
    StudyError : an option that this executor does not have, or a ``--slurm`` without "=".
    """
    given = {
        "--address": address,
        "--gpus": gpus,
        "--memory": memory,
        "--retries": retries,
        "--work-dir": work_dir,
        "--slurm": slurm or None,
    }
    has = {
        Where.local: (),
        Where.ray: ("--address", "--gpus", "--memory", "--retries", "--work-dir"),
        Where.slurm: ("--gpus", "--memory", "--slurm"),
    }
    for option, value in given.items():
        if value is not None and option not in has[where]:
            able = " or ".join(f"--executor {other}" for other, options in has.items() if option in options)
            raise StudyError(f"--executor {where} has no {option}", hint=f"leave it out, or {able}")
    if where is Where.ray:
        from heatdrift.train.executors.ray_cluster import RayExecutor

        return RayExecutor(
            address=address,
            jobs=jobs,
            gpus=gpus,
            memory_gb=memory,
            retries=3 if retries is None else retries,
            work_folder=str(work_dir.absolute()) if work_dir else None,
        )
    if where is Where.slurm:
        from heatdrift.train.executors.slurm_array import DEFAULT_ELEMENTS, SlurmExecutor

        return SlurmExecutor(elements=jobs or DEFAULT_ELEMENTS, gpus=gpus, memory_gb=memory, options=_pairs(slurm))
    return None


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise StudyError(f"--slurm {text!r} is not KEY=VALUE", hint="--slurm partition=gpu")
        pairs[name.replace("-", "_")] = value
    return pairs
