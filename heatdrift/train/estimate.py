"""How long cells take that nobody has trained yet, from steps measured here within a fixed time."""

import multiprocessing
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from heatdrift.config import StudySpec
from heatdrift.methods import family_of
from heatdrift.plan.between import parent_cell
from heatdrift.records import Cell
from heatdrift.train.inputs import ImageCounts

LIMIT_S: Final = 30.0


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is measured, and the images of each data set."""

    device: str
    counts: dict[str, ImageCounts]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds per image of one kind of pass: ``train/METHOD``, ``evaluate`` or ``probe``."""

    what: str
    seconds: float


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out.

    Attributes
    ----------
    seconds : of all cells, one after the other; None where `problem` says why it is not known.
    took_s : what measuring took.
    device : where it was measured.
    unmeasured : methods that the time did not suffice for; they count as the slowest measured one.
    """

    seconds: float | None
    took_s: float
    device: str | None = None
    problem: str | None = None
    unmeasured: tuple[str, ...] = ()


def estimate(
    cells: Sequence[Cell], study: StudySpec, folder: Path, *, device: str, threads: int = 1, limit_s: float = LIMIT_S
) -> Estimate:
    """Measure for at most `limit_s` seconds how long `cells` take on `device`; the weights and images must be here.

    A process measures, and is ended when the time is over, whatever it does. What every process does once (loading,
    decoding) is left out.
    """
    started = time.monotonic()
    found = _measured(cells, study, folder, device, threads, started + limit_s)
    ready, rates, took_s = found.ready, found.rates, time.monotonic() - started
    methods = list(dict.fromkeys(cell.method for cell in cells))
    missing = tuple(name for name in methods if f"train/{name}" not in rates)
    if ready is None or not {"evaluate", "probe"} <= set(rates) or len(missing) == len(methods):
        late = f"{limit_s:.0f} s did not suffice to measure steps"
        return Estimate(seconds=None, took_s=took_s, problem=found.problem or late)
    slowest = max(rates[f"train/{name}"] for name in methods if name not in missing)
    filled = {**{f"train/{name}": slowest for name in missing}, **rates}
    planned = {cell.cell_id for cell in cells}
    seconds = sum(
        cell_seconds(cell, ready.counts[cell.dataset], filled, trained=_trained(cell, planned)) for cell in cells
    )
    return Estimate(seconds=seconds, took_s=took_s, device=ready.device, unmeasured=missing)


def _trained(cell: Cell, planned: Collection[str]) -> bool:
    """Whether another of the planned cells trains what this one measures."""
    parent = parent_cell(cell)
    return parent is not None and parent.cell_id in planned


def cell_seconds(cell: Cell, counts: ImageCounts, rates: Mapping[str, float], *, trained: bool = False) -> float:
    """Seconds of one cell: every pass over images that ``course.py`` and ``cell.py`` make.

    Parameters
    ----------
    rates : seconds per image, as ``rates.py`` names them.
    trained : whether the model is another cell's, and is only measured here.
    """
    assert cell.recipe is not None
    assert cell.method_spec is not None
    epochs, family = cell.recipe.epochs, family_of(cell.method_spec)
    if trained:
        images = counts.val + counts.tracked + counts.test + counts.transfer
        return images * rates["evaluate"] + counts.probe * rates["probe"]
    training = epochs * counts.train * rates[f"train/{cell.method}"]
    if not family.changes_encoder:  # everything else is the base's
        return training
    checked = counts.probe if family.checked else 0
    evaluated = epochs * (counts.val + counts.tracked) + counts.test + counts.transfer
    return training + evaluated * rates["evaluate"] + (epochs * counts.probe + checked) * rates["probe"]


@dataclass(slots=True)
class _Found:
    """What arrived in time, and what went wrong."""

    ready: Ready | None = None
    rates: dict[str, float] = field(default_factory=dict)
    problem: str | None = None


def _measured(cells: Sequence[Cell], study: StudySpec, folder: Path, device: str, threads: int, until: float) -> _Found:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(theirs, study, cells, folder, device, threads), daemon=True)
    process.start()
    theirs.close()
    found = _Found()
    try:
        while ours.poll(max(0.0, until - time.monotonic())):
            received: Ready | Rate | str | None = ours.recv()
            if received is None or isinstance(received, str):
                found.problem = received
                break
            if isinstance(received, Ready):
                found.ready = received
            else:
                found.rates[received.what] = received.seconds
    except EOFError:
        found.problem = "the process that measured ended"
    finally:
        process.kill()
        process.join()
        ours.close()
    return found


def _measure(*arguments: Any) -> None:  # noqa: ANN401  those of send_rates, which brings torch along
    from heatdrift.train.rates import send_rates

    send_rates(*arguments)
