"""Finished cells without the weights that ``train --keep weights`` asks for, and the commands that make them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatdrift.wording import counted, learning_rate

if TYPE_CHECKING:
    from heatdrift.records import Cell
    from heatdrift.train.status import CellState

CHOOSING: Final = ("everything", "dataset", "method", "lr", "seed", "shard", "only_failed", "force", "dry_run")
_SHOWN: Final = 3


def without_weights(states: "Sequence[CellState]", study: str, store_folder: Path) -> "tuple[Cell, ...]":
    """Cells that are done and whose folder holds no weights; a run that diverged has none to keep."""
    from heatdrift.store.folder import cell_folder
    from heatdrift.train.worker import WEIGHTS

    done = [state.cell for state in states if state.status == "done"]
    return tuple(c for c in done if not (cell_folder(store_folder, study, c.cell_id) / WEIGHTS).is_dir())


def lacking_words(cells: "Sequence[Cell]", planned: "Sequence[Cell]", command: str) -> str:
    """Say which finished cells lack weights, and how to make them.

    Parameters
    ----------
    cells : finished ones without weights, at least one.
    planned : all cells of the study.
    command : the train command without what chooses cells (``CHOOSING``).
    """
    named = [f"{cell.group} lr {learning_rate(cell.lr)} seed {cell.seed}" for cell in cells]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    has = "has" if len(named) == 1 else "have"
    commands = "\n".join(f"  {command} {choice} --force" for choice in _choices(cells, planned))
    return (
        f"{counted(len(named), 'finished cell')} {has} no weights: {', '.join(named[:_SHOWN])}{more}\n"
        f"weights are written when a cell is trained; to train again and keep them (a new attempt, the old is kept):\n"
        f"{commands}"
    )


def _choices(cells: "Sequence[Cell]", planned: "Sequence[Cell]") -> list[str]:
    """Options that choose exactly `cells` of the planned ones: one set of them if a crossing does, else one a cell."""
    wanted = {cell.cell_id for cell in cells}
    if wanted == {cell.cell_id for cell in planned}:
        return ["--all"]
    axes = {
        name: list(dict.fromkeys(getattr(cell, name) for cell in cells)) for name in ("dataset", "method", "lr", "seed")
    }
    crossed = {c.cell_id for c in planned if all(getattr(c, name) in values for name, values in axes.items())}
    if crossed == wanted:
        return [_options(axes)]
    return [_options({name: [getattr(cell, name)] for name in axes}) for cell in cells]


def _options(axes: "dict[str, list[object]]") -> str:
    return " ".join(
        f"--{name} {value!r}" if isinstance(value, float) else f"--{name} {value}"
        for name, values in axes.items()
        for value in values
    )
