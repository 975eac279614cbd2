"""``heatdrift scale``: a job script for the study at hand."""

import resource
from enum import StrEnum
from typing import Annotated

import typer

from heatdrift.cli.advice import from_here, train_command
from heatdrift.cli.options import DataDirOption, StoreOption, StudyOption
from heatdrift.cli.output import note, say
from heatdrift.cli.workspace import Workspace, planned_cells


class Scheduler(StrEnum):
    """What runs the study on many machines."""

    slurm = "slurm"
    ray = "ray"
    k8s = "k8s"
    skypilot = "skypilot"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("scale")(scale)


def scale(
    scheduler: Annotated[Scheduler, typer.Argument(help="slurm, ray, k8s or skypilot.")],
    study: StudyOption = None,
    store: StoreOption = None,
    data_dir: DataDirOption = None,
    parts: Annotated[
        int | None, typer.Option("--parts", min=1, help="Machines or array elements at once. Default: up to 16.")
    ] = None,
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="GPUs of each; 0 trains on the processor.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads per process.")] = 1,
    image: Annotated[str | None, typer.Option("--image", help="k8s: the image, with heatdrift in it.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time steps and measure memory here, for up to 30 seconds.")
    ] = False,
) -> None:
    """Print a job script for the cells of a study that are not finished, with their time and memory.

    Example: `heatdrift scale slurm --study demo > demo.sh`
    """
    import shlex

    from heatdrift.records import FINISHED
    from heatdrift.train.executors.sizing import size_of
    from heatdrift.train.executors.templates import IMAGE, job_script
    from heatdrift.train.status import cell_states

    work = Workspace.of(store)
    spec = work.study(study)
    folder = work.data_folder(spec, study, data_dir)
    states = cell_states(planned_cells(spec, folder), study=spec.name, store_folder=work.store_folder)
    seconds, peak = None, None
    if measure:
        from heatdrift.train.estimate import estimate

        cells = [state.cell for state in states if state.status not in FINISHED]
        found = estimate(cells, spec, folder, device="auto" if gpus else "cpu", threads=threads)
        seconds = found.seconds
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 if found.seconds is not None else None
        if found.problem:
            note(f"not measured: {found.problem}")
    sizing = size_of(states, spec=spec, folder=folder, parts=parts, measured_s=seconds, measured_bytes=peak)
    elsewhere = None if scheduler is Scheduler.skypilot else store  # its records lie in a bucket
    command = train_command(study or spec.name, store=elsewhere, data_dir=from_here(data_dir) if data_dir else None)
    words = shlex.split(command)
    if not gpus:
        words += ["--device", "cpu"]
    if threads > 1 and scheduler is not Scheduler.ray:  # whose script names them
        words += ["--threads", str(threads)]
    say(
        job_script(
            scheduler.value, sizing, study=spec.name, command=words, gpus=gpus, threads=threads, image=image or IMAGE
        ).rstrip()
    )
