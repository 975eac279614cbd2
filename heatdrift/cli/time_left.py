"""How long cells take, in words: by those that are finished, for each device, or by steps that are measured now."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from heatdrift.wording import counted, duration, listed

if TYPE_CHECKING:
    from heatdrift.config import StudySpec
    from heatdrift.records import Cell
    from heatdrift.train.status import CellState

MeasureOption = Annotated[
    bool,
    typer.Option(
        "--measure",
        help="Where no cell is finished, time steps for up to 30 seconds to say how long the cells take.",
    ),
]


def by_finished(
    states: "Sequence[CellState]", cells: "Sequence[Cell]", *, at_once: int | None, device: str | None = None
) -> str | None:
    """Return how long `cells` take by the finished ones, for each device; None where none is finished.

    Parameters
    ----------
    states : of all cells that were chosen, the finished ones among them.
    device : the one to train on; its cells alone count where it has any.
    """
    from heatdrift.records import FINISHED
    from heatdrift.train.status import devices, time_left_s

    known = devices(states)
    if not known:
        return None
    wanted = {cell.cell_id for cell in cells}
    again = [msgspec.structs.replace(s, status="planned") for s in states if s.cell.cell_id in wanted]
    kept = [*(s for s in states if s.status in FINISHED), *(s for s in again)]
    said = []
    for place in [device] if device in known else known:
        left = time_left_s(kept, workers=at_once or 1, of=(place,)) or 0.0
        n = sum(s.device == place and s.status in FINISHED and s.wall_s is not None for s in states)
        said.append(f"about {duration(left)}{f' on {place}' if place else ''} (by {counted(n, 'finished cell')})")
    return f"{listed(said)}, {_how(at_once)}"


def by_measuring(
    cells: "Sequence[Cell]",
    study: "StudySpec",
    folder: Path,
    *,
    at_once: int | None = None,
    device: str = "auto",
    threads: int = 1,
) -> str:
    """Measure steps of the methods of `cells`, and return how long they take, or why that is not known."""
    from heatdrift.train.estimate import estimate

    found = estimate(cells, study, folder, device=device, threads=threads)
    if found.seconds is None:
        return f"not known how long ({found.problem})"
    left = found.seconds / max(1, min(at_once or 1, len(cells)))
    late = f"; in that time not {listed(found.unmeasured)}, taken as slow as the slowest" if found.unmeasured else ""
    return (
        f"about {duration(left)} on {found.device}, {_how(at_once)} "
        f"(by steps measured for {duration(found.took_s)}{late}; without decoding pictures)"
    )


def _how(at_once: int | None) -> str:
    return f"{at_once} at once" if at_once else "one after the other"
