"""What ``heatdrift doctor`` finds: one line per check, and the checks of a study's weights and data."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from heatdrift.cli.advice import fetch_command
from heatdrift.cli.fetch import sources_of
from heatdrift.cli.output import note
from heatdrift.config import StudySpec
from heatdrift.errors import HeatdriftError

State = Literal["ok", "warn", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: what was looked at, how it is, and what to do about it."""

    check: str
    state: State
    found: str
    advice: str = ""


def inputs(spec: StudySpec, folder: Path, study: str) -> Iterator[Check]:
    """Weights and sources of a study: there or not; `study` is how the user named it."""
    from heatdrift.data.manifest import read_manifest
    from heatdrift.data.sources import SCHEMES, missing_source

    yield from safely(f"weights {spec.backbone.name}", lambda: _weights(spec, folder, study))
    for name, source in sources_of(spec).items():
        try:
            absent = missing_source(source, folder)
            manifest = read_manifest(source.opened_as, folder)
        except HeatdriftError as error:
            yield broken(f"data {name}", error)
            continue
        scheme = SCHEMES[source.source.partition(":")[0]]
        if absent is not None and scheme.fetchable:
            found = f"{source.source}: not on this machine"
            yield Check(check=f"data {name}", state="missing", found=found, advice=_fetch(study))
        elif absent is not None:
            yield broken(f"data {name}", absent)
        elif scheme.drawn:
            yield Check(check=f"data {name}", state="ok", found=f"{source.source}: drawn on demand")
        elif manifest is None:
            advice = f"have the files verified and listed in a manifest:\n  {fetch_command(study)}"
            yield Check(check=f"data {name}", state="ok", found=f"{source.source}: there, no manifest", advice=advice)
        else:
            found = f"{source.source}: there, manifest with {manifest.n_images} images"
            bad = len(manifest.unreadable)
            advice = f"{bad} pictures do not decode: replace them or train with --skip-unreadable" if bad else ""
            yield Check(check=f"data {name}", state="warn" if bad else "ok", found=found, advice=advice)


def sizes(spec: StudySpec, folder: Path) -> Iterator[Check]:
    """Whether the pictures are as many as the study's splits ask for; what is not here to be counted has no line."""
    from heatdrift.train.size_check import check_sizes

    for found in check_sizes(spec, folder):
        name = f"sizes of {found.name}"
        if found.problem is not None:
            yield broken(name, found.problem)
        elif found.counted:
            yield Check(check=name, state="ok", found=f"[{found.section}.{found.name}] fits the pictures that are here")


def refuse_sizes(spec: StudySpec, folder: Path, study: str, datasets: Collection[str] | None = None) -> None:
    """Raise what training would: a split that is larger than its pictures. What cannot be counted here is noted.

    Raises
    ------
    HeatdriftError : of the first that does not fit; the others are printed before it.
    """
    from heatdrift.train.size_check import check_sizes

    checked = check_sizes(spec, folder, datasets)
    unknown = [found.name for found in checked if not found.counted]
    if unknown:
        note(f"sizes of {', '.join(unknown)} are not checked, the pictures are not here: {fetch_command(study)}")
    problems = [found.problem for found in checked if found.problem is not None]
    for other in problems[1:]:
        note(f"does not fit, too: {other.message}")
    if problems:
        raise problems[0]


def _weights(spec: StudySpec, folder: Path, study: str) -> Iterator[Check]:
    from heatdrift.model.download import absent_files, where_weights
    from heatdrift.model.identity import is_tag

    name = f"weights {spec.backbone.name}"
    path = where_weights(spec.backbone, folder)
    if path is None and not is_tag(spec.backbone):
        yield broken(name, absent_files(spec.backbone, folder))
    elif path is None:
        yield Check(check=name, state="missing", found="not on this machine", advice=_fetch(study))
    else:
        yield Check(check=name, state="ok", found=str(path))


def _fetch(study: str) -> str:
    return f"get what is missing, or read what to put where:\n  {fetch_command(study)}"


def safely(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What a check finds; an error that the user can correct, or a package that does not import, becomes a line."""
    try:
        yield from look()
    except HeatdriftError as error:
        yield broken(name, error)
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Check(check=name, state="missing", found=reason, advice="reinstall the package that this names")


def broken(name: str, error: HeatdriftError) -> Check:
    """Return the line of a check that met an error: its message, and its hint as advice."""
    return Check(check=name, state="missing", found=error.message, advice=error.hint or "")
