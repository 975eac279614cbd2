"""One picture of a section: where it cannot be drawn, a note is in its place and the page goes on."""

import logging
from collections.abc import Callable
from typing import Final

import polars as pl

from heatdrift.errors import HeatdriftError
from heatdrift.report.blocks import Block, Note

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


def figure_or_note(title: str, draw: Callable[[], Block | None], datasets: dict[str, pl.DataFrame]) -> list[Block]:
    """Return the figure that `draw` makes, nothing where it has nothing to show, or the note that it failed.

    Parameters
    ----------
    title : what the picture is, for the note.
    datasets : the rows of the page's charts; those of a failed picture are taken out again.
    """
    before = set(datasets)
    try:
        figure = draw()
    except _FAULTS as error:
        _LOG.debug("figure %s", title, exc_info=True)
        for name in set(datasets) - before:
            del datasets[name]
        text = f"This picture could not be drawn: {title} ({type(error).__name__}: {error}). The others are complete."
        return [Note(text=text, tone="missing")]
    return [] if figure is None else [figure]
