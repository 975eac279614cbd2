"""Which cell trains what a cell of METHOD@ALPHA measures."""

import msgspec
from msgspec import UNSET

from heatdrift.config import StudySpec
from heatdrift.methods.between import SIGN, parent_method
from heatdrift.records import Cell


def parent_cell(cell: Cell) -> Cell | None:
    """The cell that differs in the method alone and trains; None for a cell that trains itself."""
    if cell.method_spec is None or cell.method_spec.alpha is UNSET:
        return None
    method = parent_method(cell.method_spec)
    return msgspec.structs.replace(cell, method=method.name, method_spec=method)


def has_models_between(study: StudySpec, method: str) -> bool:
    """Whether a grid of the study names `method` at an alpha, so that what it trained is to be kept."""
    return any(name.startswith(f"{method}{SIGN}") for grid in study.grids for name in grid.method)
