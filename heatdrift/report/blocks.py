"""What a page is made of, as values: sections hold findings, notes, facts, tables, matrices and figures.

Strings are plain text and are escaped by the template; only `Panel.svg` and `Panel.spec` are markup, made by
``drawing.py`` from charts. A test can therefore read a section without parsing HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl
from markupsafe import Markup

from heatdrift.report import wording
from heatdrift.report.theme import SHAPE_PATHS, MethodStyle, method_title

Tone = Literal["caveat", "missing", "plain"]
MAX_ROWS = 100  # of one table; a longer one says how many rows it leaves out and where they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One paragraph: plain words, a caveat of the statistics, or a statement of what is missing."""

    kind: ClassVar = "note"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The sentences of one result and, beside them, the caveats that its checks raised; the first few are open.

    `finding_id` is its anchor, `section_id` that of its figures and tables.
    """

    kind: ClassVar = "finding"
    finding_id: str = ""
    title: str
    sentences: tuple[str, ...]
    caveats: tuple[str, ...] = ()
    section_id: str = ""
    shown: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A link to another place of the page: a section says with it where its result stands in words."""

    kind: ClassVar = "pointer"
    text: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Name and value pairs, shown as a definition list; `large` for the few that open the page."""

    kind: ClassVar = "facts"
    title: str = ""
    anchor: str = ""
    pairs: tuple[tuple[str, str], ...]
    large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Head and rows of text; `numeric`: which columns are set flush right; `folded`: shown on demand."""

    kind: ClassVar = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    left_out: int = 0
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """A key of a figure: a method's mark, a line or a swatch; `colour` is CSS, `width` and `opacity` are of a line."""

    label: str
    colour: str
    path: str = ""
    look: Literal["mark", "line", "dashed", "dashes", "swatch", "faint"] = "mark"
    width: float = 2.0
    opacity: float = 1.0

    @classmethod
    def of(cls, style: MethodStyle) -> "LegendEntry":
        """Return the key of a method: its colour and its shape."""
        return cls(label=style.title, colour=style.variable, path=SHAPE_PATHS[style.shape])


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One cell of the study matrix: its text, its state as a word and as a mark, and a longer title."""

    text: str
    state: Literal["full", "part", "none", "off"]
    problems: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Groups down, learning rates across."""

    kind: ClassVar = "matrix"
    caption: str
    lrs: tuple[str, ...]
    rows: tuple[tuple[str, LegendEntry, tuple[MatrixCell, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart: its heading, its static drawing, and its Vega-Lite spec as JSON fit for a script element."""

    panel_id: str
    title: str
    svg: Markup
    spec: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Panels under one legend, with a text alternative for all of them and a table of what they show."""

    kind: ClassVar = "figure"
    figure_id: str
    title: str
    caption: str
    alternative: str
    panels: tuple[Panel, ...]
    legend: tuple[LegendEntry, ...]
    table: Table
    columns: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One small picture in the page: `src` is a data URI made by ``map_images.py``, `alt` its text alternative."""

    src: str
    alt: str
    look: Literal["map", "difference", "photo"] = "map"


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryRow:
    """One model, or the probe images themselves: a cell of pictures for each image."""

    label: str
    detail: str
    entry: LegendEntry | None
    cells: tuple[tuple[Picture, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBar:
    """The key of a colour scale and its ends."""

    src: str
    label: str
    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Models down, probe images across; numbers of every picture in the table."""

    kind: ClassVar = "gallery"
    figure_id: str
    title: str
    caption: str
    images: tuple[str, ...]
    rows: tuple[GalleryRow, ...]
    scales: tuple[ScaleBar, ...]
    table: Table


Block = Note | Finding | Pointer | Facts | Table | Matrix | Figure | Gallery


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with its blocks; `lead` is the sentence under the heading."""

    section_id: str
    title: str
    lead: str = ""
    blocks: tuple[Block, ...]


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
            return method_title(str(value))
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


def text_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> Table:
    """Return a table of ready-made text whose first `text_columns` columns are words and the rest numbers."""
    numeric = tuple(i >= text_columns for i in range(len(head)))
    shown = tuple(tuple(row) for row in rows[:MAX_ROWS])
    return Table(caption=caption, head=tuple(head), rows=shown, numeric=numeric, left_out=len(rows) - len(shown))
