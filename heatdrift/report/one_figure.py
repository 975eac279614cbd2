"""One picture of a section: where it cannot be drawn, the reason is in its place and the page goes on."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import polars as pl
from markupsafe import Markup

from heatdrift.errors import HeatdriftError
from heatdrift.report.blocks import Block, Note, Panel

_LOG = logging.getLogger(__name__)
_FAULTS: Final = (  # what drawing raises of rows that it cannot draw; vl-convert's errors are ValueErrors
    HeatdriftError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    ArithmeticError,
    pl.exceptions.PolarsError,
)


def figure_or_note(
    title: str, draw: Callable[[], Block | Sequence[Block] | None], datasets: dict[str, pl.DataFrame]
) -> list[Block]:
    """Return the blocks that `draw` makes, nothing where it has nothing to show, or the note that it failed.

    Parameters
    ----------
    title : what the picture is, for the note.
    datasets : the rows of the page's charts; those of a failed picture are taken out again.
    """
    before = set(datasets)
    try:
        figure = draw()
    except _FAULTS as error:
        _undo(title, datasets, before)
        text = f"This picture could not be drawn: {title} ({type(error).__name__}: {error}). The others are complete."
        return [Note(text=text, tone="missing")]
    if figure is None:
        return []
    return list(figure) if isinstance(figure, Sequence) else [figure]


def panels_or_problem(
    figure_id: str, draw: Callable[[], list[Panel]], datasets: dict[str, pl.DataFrame]
) -> list[Panel]:
    """Return the panels that `draw` makes, or one that has the reason: the figure's table stays next to it."""
    before = set(datasets)
    try:
        return draw()
    except _FAULTS as error:
        _undo(figure_id, datasets, before)
        problem = f"{type(error).__name__}: {error}"
        return [Panel(panel_id=f"{figure_id}-1", title="", svg=Markup(), spec=Markup("{}"), problem=problem)]


def _undo(title: str, datasets: dict[str, pl.DataFrame], before: set[str]) -> None:
    """Take out the rows that a failed picture left, and keep its error for whoever looks for it."""
    _LOG.debug("figure %s", title, exc_info=True)
    for name in set(datasets) - before:
        del datasets[name]
