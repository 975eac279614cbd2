"""An answer in a notebook: its sentences as a list, its tables folded under them; everything is escaped."""

from html import escape
from typing import TYPE_CHECKING, Final

from heatdrift.questions.tables import Caveat, Detail, Grid
from heatdrift.wording import counted, six_digits

if TYPE_CHECKING:
    from heatdrift.questions.presented import PresentedResult

_MOST: Final = 60  # rows of a table in a notebook; to_frame() has all


def answer_html(answer: "PresentedResult") -> str:
    """Return an HTML fragment without scripts: lines in reading order, details and tables on demand."""
    open_part, folded = [], []
    for part in answer.shown():
        if isinstance(part, Grid):
            folded.append(_table(part))
        elif isinstance(part, Detail):
            folded.append(f"<p>{escape(part)}</p>")
        else:
            style = "color:#8a5a00" if isinstance(part, Caveat) else ""
            indent = "margin:0 0 0 1.2em" if part.startswith("  ") else "margin:.3em 0 0 0"
            open_part.append(f'<p style="{indent};{style}">{escape(part.strip())}</p>')
    n = sum(part.startswith("<table") for part in folded)
    head = f"<p><b>{escape(type(answer).__name__)}</b></p>"
    more = f"<details><summary>{counted(n, 'table')} and how it was computed</summary>{''.join(folded)}</details>"
    return f"<div>{head}{''.join(open_part)}{more if folded else ''}</div>"


def _table(grid: Grid) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in grid.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(_text(value))}</td>' for value in row)}</tr>" for row in grid.rows[:_MOST]
    )
    left = len(grid.rows) - _MOST
    title = f"{grid.title or ''}{f' (first {_MOST} of {len(grid.rows)} rows)' if left > 0 else ''}"
    return f"<table><caption>{escape(title)}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _text(value: object) -> str:
    if value is None:
        return ""
    return six_digits(value) if isinstance(value, float) else str(value)
