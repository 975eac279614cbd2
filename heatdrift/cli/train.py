"""``heatdrift train`` and ``heatdrift pretrain``."""

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from heatdrift.cli.advice import naming_study, same_command, train_command
from heatdrift.cli.checks import refuse_sizes
from heatdrift.cli.executors import (
    AddressOption,
    ExecutorOption,
    GpusOption,
    MemoryOption,
    RetriesOption,
    SlurmOption,
    Where,
    WorkDirOption,
    executor_of,
)
from heatdrift.cli.kept_weights import CHOOSING, lacking_words, without_weights
from heatdrift.cli.options import (
    DataDirOption,
    DatasetOption,
    ForceOption,
    Format,
    FormatOption,
    LrOption,
    MethodOption,
    SeedOption,
    StoreOption,
    StudyOption,
)
from heatdrift.cli.output import err, note, say, show_rows
from heatdrift.cli.stopping import MaxTimeOption, StopOnOption, ending_politely, heard, signals_of
from heatdrift.cli.time_left import MeasureOption, by_finished, by_measuring
from heatdrift.cli.workspace import Workspace, planned_cells
from heatdrift.errors import HeatdriftError, StudyError, UnknownNameError
from heatdrift.train.interrupt import Interrupted, LeadingInterruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heatdrift.config import StudySpec
    from heatdrift.records import Cell
    from heatdrift.train.executors.base import Executor
    from heatdrift.train.worker import WorkerSettings


class Keep(StrEnum):
    """What can be kept with a cell's record: the trained model as safetensors, the last epoch's checkpoint."""

    weights = "weights"
    checkpoint = "checkpoint"


class Compile(StrEnum):
    """Which steps train on CUDA: plain ones, a graph, a graph of a compiled model, or the fastest that is equal."""

    off = "off"
    graph = "graph"
    compiled = "compiled"
    auto = "auto"


class EvalPrecision(StrEnum):
    """Arithmetic in which models are measured."""

    float32 = "float32"
    bf16 = "bf16"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("train")(ending_politely(train))
    app.command("pretrain")(pretrain)


def train(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="All cells that are not finished.")] = False,
    study: StudyOption = None,
    store: StoreOption = None,
    data_dir: DataDirOption = None,
    dataset: DatasetOption = None,
    method: MethodOption = None,
    lr: LrOption = None,
    seed: SeedOption = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            help="Processes. Default: one per core on a CPU; as many as fit on a GPU, at most 2 (4 with plain steps).",
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads per process.")] = 1,
    shard: Annotated[
        str | None, typer.Option("--shard", help="i/n: every n-th cell, for n machines; env: from the job array.")
    ] = None,
    executor: ExecutorOption = Where.local,
    address: AddressOption = None,
    gpus: GpusOption = None,
    memory: MemoryOption = None,
    retries: RetriesOption = None,
    work_dir: WorkDirOption = None,
    slurm: SlurmOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the cells that would run, and stop.")] = False,
    measure: MeasureOption = False,
    only_failed: Annotated[bool, typer.Option("--only-failed", help="Only failed or diverged cells.")] = False,
    force: ForceOption = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto.")] = "auto",
    compiling: Annotated[
        Compile,
        typer.Option(
            "--compile",
            help="On CUDA: each step as a graph, of a compiled model, or what is measured to be fastest and equal.",
        ),
    ] = Compile.auto,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bits each time on CUDA, too, at up to 1.5 times the cost.")
    ] = False,
    checkpoint: Annotated[
        bool,
        typer.Option(
            help="Write each cell's state after every epoch and when it is interrupted, so that a run that was stopped "
            "goes on where it was."
        ),
    ] = True,
    max_time: MaxTimeOption = None,
    stop_on: StopOnOption = None,
    keep: Annotated[
        list[Keep] | None,
        typer.Option("--keep", help="Keep with each record: weights (adapters and merged, safetensors), checkpoint."),
    ] = None,
    eval_precision: Annotated[
        EvalPrecision | None,
        typer.Option(
            "--eval-precision",
            help="Arithmetic of accuracies, zero-shot and probes (docs/performance.md says what bf16 changes); "
            "recorded, and with bf16 other cell ids. Default: the study's, float32 where it says nothing.",
        ),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Leave out pictures that do not decode; recorded, and other cell ids."),
    ] = False,
    fmt: FormatOption = Format.table,
) -> None:
    """Train and measure the cells of a study. Finished cells are kept and skipped: the same command again goes on.

    Exit codes, for scripts and schedulers:

    - 0: every chosen cell is finished, or another process is at it;
    - 2: what was asked for or given cannot be trained; repeating it unchanged does not help;
    - 3: all chosen cells were tried, and some of those trained now failed or diverged;
    - 75: a signal or `--max-time` ended it; the same command goes on, within the epoch: repeat it;
    - 130: Ctrl-C ended it, with the last epoch of each cell kept.

    Example: `heatdrift train --all --study demo`
    """
    from heatdrift.plan.cells import select_cells
    from heatdrift.plan.shard import shard_of
    from heatdrift.train.inputs import check_inputs
    from heatdrift.train.status import cell_states, unfinished

    interruption = heard(context, stop_on, max_time)
    elsewhere = executor_of(
        executor,
        jobs=jobs,
        address=address,
        gpus=gpus,
        memory=memory,
        retries=retries,
        work_dir=work_dir,
        slurm=slurm or (),
    )
    work = Workspace.of(store)
    spec = work.study_to_train(study, data_dir)
    if skip_unreadable:
        spec = msgspec.structs.replace(spec, train=msgspec.structs.replace(spec.train, skip_unreadable=True))
    if eval_precision is not None:
        wanted = "float32" if eval_precision is EvalPrecision.float32 else "bfloat16"
        spec = msgspec.structs.replace(spec, train=msgspec.structs.replace(spec.train, eval_precision=wanted))
    if not (everything or dataset or method or lr or seed or shard or only_failed):
        raise StudyError("no cells chosen", hint=train_command(study or spec.name))
    folder = work.data_folder(spec, study, data_dir)
    planned = planned_cells(spec, folder)
    chosen = select_cells(
        planned,
        dataset=dataset or (),
        method_name=method or (),
        lr=lr or (),
        seed=seed or (),
        shard=shard_of(os.environ) if shard == "env" else shard,
    )
    states = cell_states(chosen, study=spec.name, store_folder=work.store_folder)
    cells = unfinished(states, only_failed=only_failed, force=force)
    lacking = ""
    if Keep.weights in (keep or ()):
        to_run = {cell.cell_id for cell in cells}
        kept = [state for state in states if state.cell.cell_id not in to_run]
        if found := without_weights(kept, spec.name, work.store_folder):
            lacking = lacking_words(found, planned, same_command(context, without=CHOOSING))
    if dry_run:
        show_rows([{"cell_id": c.cell_id, "group": c.group, "lr": c.lr, "seed": c.seed} for c in cells], fmt)
        would = f"{len(cells)} of {len(chosen)} chosen cells would run"
        how_long = by_finished(states, cells, at_once=jobs, device=device)
        if how_long is None and measure and cells:
            how_long = by_measuring(cells, spec, folder, at_once=jobs, device=device, threads=threads)
        unknown = "how long shows when the first is finished, or with --measure"
        note(f"{would}; {how_long or unknown}" if cells else would)
        if lacking:
            note(lacking)
        refuse_sizes(spec, folder, study or spec.name, {cell.dataset: None for cell in cells})
        return
    if cells:
        try:
            for caution in check_inputs(spec, folder, [cell.dataset for cell in cells]):
                note(f"caution: {caution}")
        except HeatdriftError as error:
            raise naming_study(error, study or spec.name, data_dir) from None
    work.keep_plan(spec, planned, study, data_dir)
    note(f"study {spec.name}: {len(cells)} of {len(chosen)} chosen cells to run")
    seen = {state.cell.cell_id: state.attempt for state in states}
    settings = msgspec.structs.replace(
        _settings(spec, work, folder, device, threads, here=elsewhere is None),
        deterministic=deterministic,
        compile=compiling.value,
        checkpoints=checkpoint,
        keep=tuple(item.value for item in keep or ()),
        signals=signals_of(stop_on),
    )
    resume = same_command(context, without=("force", "dry_run"))
    try:
        counts = _run(cells, seen, work, settings, jobs, interruption, elsewhere)
    except KeyboardInterrupt:
        note(f"stopped; what is finished is kept. To go on where it stopped:\n  {resume}")
        raise
    if interruption.reason and sum(n for status, n in counts.items() if status != "interrupted") < len(cells):
        raise Interrupted(interruption.reason)
    ended = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or (
        "nothing trained" if lacking else "nothing to do"
    )
    where = ["--store", str(store)] if store else []
    page = shlex.join(["heatdrift", "report", "--html", "--study", spec.name, *where])
    note(f"{ended}; stored in {work.store}; next: {page}")
    if lacking:
        note(lacking)
    if counts.get("failed"):
        note(f"failed ones are taken again by the same command, from their checkpoint where they have one: {resume}")
    if counts.get("diverged"):
        again = resume if only_failed else f"{resume} --only-failed"
        note(f"diverged is a result and is kept; to try again: {again}")
    if counts.get("failed") or counts.get("diverged"):
        raise typer.Exit(3)


def _settings(
    spec: "StudySpec", work: Workspace, folder: Path, device: str, threads: int, *, here: bool
) -> "WorkerSettings":
    """What a worker needs; a device of other machines is looked for there."""
    from heatdrift import provenance
    from heatdrift.train.device import resolve_device
    from heatdrift.train.worker import WorkerSettings

    return WorkerSettings(
        study=spec,
        store_folder=str(work.store_folder),
        data_folder=str(folder if here else folder.absolute()),
        crop_folder=str(work.crop_folder.absolute()) if work.crop_folder else None,
        device=resolve_device(device) if here else device,
        threads=threads,
        provenance=provenance.collect(),
    )


def _run(
    cells: "Sequence[Cell]",
    seen: dict[str, int],
    work: Workspace,
    settings: "WorkerSettings",
    jobs: int | None,
    interruption: LeadingInterruption,
    elsewhere: "Executor | None",
) -> dict[str, int]:
    from heatdrift.cli.progress import TrainingProgress
    from heatdrift.store.ingest import ingest

    def bring_in() -> None:
        for problem in ingest(work.store).problems:
            note(f"left out: {problem.path}: {problem.reason}")

    interruption.lead()
    if not cells:
        bring_in()
        return {}
    executor = elsewhere or _here(settings, jobs, len(cells))
    try:
        with TrainingProgress(cells, bring_in) as progress:
            counts = executor.run_cells(cells, settings, on_event=progress, seen=seen, interruption=interruption)
    except Interrupted:  # a second signal: at once; the next command brings the records in
        raise
    except BaseException:
        bring_in()
        raise
    bring_in()
    return counts


def _here(settings: "WorkerSettings", jobs: int | None, n_cells: int) -> "Executor":
    import torch

    from heatdrift.train.device import free_bytes
    from heatdrift.train.executors.base import LocalExecutor
    from heatdrift.train.executors.sizing import available_bytes, process_bytes, too_many_jobs
    from heatdrift.train.local import default_jobs

    if jobs and settings.device == "cpu":
        each = process_bytes(settings.study, Path(settings.data_folder))
        if caution := too_many_jobs(min(jobs, n_cells), each, available_bytes()):
            note(f"caution: {caution}")
    free = free_bytes(torch.device(settings.device))
    return LocalExecutor(
        jobs or default_jobs(settings.device, settings.threads, free_bytes=free, plain_steps=settings.compile == "off")
    )


def pretrain(
    what: Annotated[str, typer.Argument(help="What to pretrain: lab.")],
    out: Annotated[Path, typer.Option("--out", help="Where the weights go.")] = Path("lab.safetensors"),
    seed: Annotated[int, typer.Option("--seed", help="Seed; the shipped weights have the default one.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads; the shipped weights come from 1.")] = 1,
) -> None:
    """Make the weights of the embedded lab from nothing.

    Example: `heatdrift pretrain lab --out lab.safetensors`
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from heatdrift.train.pretrain import STEPS, PretrainProgress, pretrain_lab

    if what != "lab":
        raise UnknownNameError("pretraining", what, ("lab",))
    columns = (TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}  left"))
    with Progress(*columns, TimeRemainingColumn(), console=err) as bar:
        task = bar.add_task("", total=STEPS, loss=float("nan"))

        def show(progress: PretrainProgress) -> None:
            bar.update(task, completed=progress.step, loss=progress.loss)

        result = pretrain_lab(out=out, seed=seed, threads=threads, report=show)
    say(
        f"{out}: zero-shot {result.zero_shot_pct:.1f} % on the held-out combinations, final loss {result.loss:.3f}, "
        f"{result.wall_s / 60:.1f} min, sha256 {result.weights_sha256}"
    )
