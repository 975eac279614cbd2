"""Rows as tables of text, at most MAX_ROWS: a longer table says how many rows it leaves out and where they are."""

from collections.abc import Sequence

import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import STORE, Table

MAX_ROWS = 100


def frame_table(
    frame: pl.DataFrame, caption: str, *, heads: dict[str, str], limit: int = MAX_ROWS, folded: bool = False
) -> Table:
    """Return a table of the columns named in `heads` (column -> heading), at most `limit` rows, numbers as text.

    `method` becomes its title, `lr` the form of the study files, columns starting with `p_` or called `p` p-values.
    """

    def text(name: str, value: object) -> str:
        if value is None:
            return wording.NOT_MEASURED
        if name == "method":
            return wording.method_title(str(value))
        if name == "lr" and isinstance(value, float):
            return wording.learning_rate(value)
        if isinstance(value, float):
            return wording.p_value(value) if name == "p" or name.startswith("p_") else wording.number(value, 4)
        return f"{value:,}" if isinstance(value, int) and name.startswith("n") else str(value)

    shown = frame.select(*heads).head(limit)
    return Table(
        caption=caption,
        head=tuple(heads.values()),
        rows=tuple(tuple(text(n, v) for n, v in zip(heads, row, strict=True)) for row in shown.iter_rows()),
        numeric=tuple(kind.is_numeric() for kind in shown.dtypes),
        left_out=frame.height - shown.height,
        folded=folded,
    )


def text_table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text_columns: int = 1,
    command: str = "",
    p: Sequence[float] = (),
) -> Table:
    """Return a table of ready-made text whose first `text_columns` columns are words and the rest numbers.

    `command` prints all rows; with `p`, a p-value per row, a table that is too long keeps the rows with the smallest.
    """
    numeric = tuple(i >= text_columns for i in range(len(head)))
    cut = len(rows) > MAX_ROWS
    if cut and len(p):
        order = sorted(range(len(rows)), key=lambda i: (p[i] != p[i], p[i]))  # NaN last
        rows = [rows[i] for i in order]
    return Table(
        caption=caption,
        head=tuple(head),
        rows=tuple(tuple(row) for row in rows[:MAX_ROWS]),
        numeric=numeric,
        left_out=max(len(rows) - MAX_ROWS, 0),
        chosen="smallest p first" if cut and len(p) else "",
        rest=f"printed by `{command}`" if command else STORE,
    )
