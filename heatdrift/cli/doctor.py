"""``heatdrift doctor``: is this machine ready, and if not, what to do."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import typer

from heatdrift.cli.checks import Check, broken, inputs, safely, sizes
from heatdrift.cli.options import DataDirOption, Format, FormatOption, StoreOption, StudyOption
from heatdrift.cli.output import indented, note, say, show_list, show_rows
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import HeatdriftError

LOW_DISK_BYTES: Final = 5 * 10**9  # weights and images of the published study take about this much
NO_DISK_BYTES: Final = 2 * 10**8
GIGABYTE: Final = 10**9


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("doctor")(doctor)


def doctor(
    study: StudyOption = None,
    store: StoreOption = None,
    data_dir: DataDirOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Check device, precision, packages, weights, data, store and disk; exit 2 if something needed is not there.

    With a study (or one in heatdrift.toml) its weights and data are looked for, and its sizes compared with what is
    there; nothing is downloaded.

    Example: `heatdrift doctor --study mini`
    """
    checks = list(_checks(study, store, data_dir))
    if fmt is Format.table:
        _show(checks)
    else:
        show_rows([asdict(check) for check in checks], fmt)
    missing = [check.check for check in checks if check.state == "missing"]
    note("ready" if not missing else f"not ready: {', '.join(missing)}")
    if missing:
        raise typer.Exit(2)


def _show(checks: list[Check]) -> None:
    """One line per check, then what to do, each advice once with what it is for."""
    show_list([(check.state, check.check, check.found) for check in checks])
    advised: dict[str, list[str]] = {}
    for check in checks:
        if check.advice:
            advised.setdefault(check.advice, []).append(check.check)
    if advised:
        say("")
    for advice, names in advised.items():
        show_list([("-", f"{', '.join(names)}: {indented(advice, 2)}")])


def _checks(study: str | None, store: Path | None, data_dir: Path | None) -> Iterator[Check]:
    yield from packages()
    yield from safely("device", device)
    try:
        work = Workspace.of(store)
    except HeatdriftError as error:
        yield broken("settings", error)
        return
    yield store_state(work.store)
    yield disk("disk of the store", work.store_folder)
    yield browser()
    name = study or work.settings.study
    if name is None:
        yield Check(
            check="study", state="ok", found="none named", advice="--study NAME checks its weights and data too"
        )
        return
    try:
        spec = work.study(study)
    except HeatdriftError as error:
        yield broken("study", error)
        return
    folder = work.data_folder(spec, study, data_dir)
    yield disk("disk of the data", folder)
    yield from inputs(spec, folder, name)
    yield from safely("sizes", lambda: sizes(spec, folder))


def packages() -> Iterator[Check]:
    """Python, and every package that heatdrift needs, at a version that its own requirements allow."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    python = ".".join(map(str, sys.version_info[:3]))
    yield Check(check="python", state="ok", found=python)
    wrong, versions = [], []
    for line in requires("heatdrift") or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        versions.append(f"{requirement.name} {found}")
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found}, needed {requirement.specifier}")
    if wrong:
        advice = f"{shlex.quote(sys.executable)} -m pip install --upgrade heatdrift"
        yield Check(check="packages", state="missing", found="; ".join(wrong), advice=advice)
    else:
        yield Check(check="packages", state="ok", found=", ".join(versions))


def device() -> Iterator[Check]:
    """What trains, with how many threads, and whether bfloat16 is arithmetic there and not emulation."""
    import torch

    from heatdrift.train.device import resolve_device

    chosen = resolve_device("auto")
    if chosen == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        what = f"cuda: {gpu.name}, {gpu.total_memory / GIGABYTE:.0f} GB"
        yield Check(check="device", state="ok", found=what)
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        advice = "enough for demo and mini; the CLIP studies want a GPU" if chosen == "cpu" else ""
        yield Check(check="device", state="warn" if advice else "ok", found=chosen, advice=advice)
        native = chosen == "mps" or _cpu_has_bf16()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = f"{cores} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}"
    yield Check(check="threads", state="ok", found=found)
    slow = "" if native else 'bfloat16 is slow here: keep precision = "float32"'
    both = "float32" + (", bfloat16" if native else "; bfloat16 is emulated")
    yield Check(check="precision", state="ok", found=both, advice=slow)


def _cpu_has_bf16() -> bool:
    """Whether the kernel lists bfloat16 instructions; False where nobody can tell."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def store_state(store: Path) -> Check:
    """Whether the database opens and what is in it; a store that is not there yet is no fault."""
    if not store.exists():
        advice = "the first heatdrift train makes it"
        return Check(check="store", state="ok", found=f"{store} is not there yet", advice=advice)
    from heatdrift.store.connect import open_store

    try:
        with open_store(store) as connection:
            row = connection.execute("select count(*), count(distinct study) from runs").fetchone()
    except HeatdriftError as error:
        return broken("store", error)
    runs, studies = row or (0, 0)
    return Check(check="store", state="ok", found=f"{store}: {runs} runs of {studies} studies")


def disk(name: str, folder: Path) -> Check:
    """Free space where `folder` is or will be, and whether it can be written."""
    place = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(place).free
    found = f"{free / GIGABYTE:.1f} GB free at {place}"
    if free < NO_DISK_BYTES:
        return Check(check=name, state="missing", found=found, advice="free some space")
    if not os.access(place, os.W_OK):
        return Check(
            check=name, state="warn", found=f"{found}, not writable", advice="manifests and runs need to write"
        )
    if free < LOW_DISK_BYTES:
        advice = "enough for demo and mini; the CLIP studies take some GB of weights and images"
        return Check(check=name, state="warn", found=found, advice=advice)
    return Check(check=name, state="ok", found=found)


def browser() -> Check:
    """The browser that ``heatdrift report`` would print PDF with; nothing else needs one."""
    from heatdrift.report.formats.pdf import find_browser

    try:
        return Check(check="chromium", state="ok", found=str(find_browser()))
    except HeatdriftError as error:
        advice = f"only report --format pdf needs it: {error.hint}"
        return Check(check="chromium", state="warn", found=error.message, advice=advice)
