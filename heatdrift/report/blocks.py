"""What a page is made of, as values: sections hold findings, notes, facts, tables, matrices and figures.

Strings are plain text and are escaped by the template; only `Panel.svg` and `Panel.spec` are markup, made by
``drawing.py`` from charts. A test can therefore read a section without parsing HTML.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from heatdrift import wording
from heatdrift.report.theme import SHAPE_PATHS, MethodStyle

Tone = Literal["caveat", "missing", "plain", "aside"]
STORE = "in the store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One paragraph: plain words, a caveat of the statistics, a statement of what is missing, or an aside in small."""

    kind: ClassVar = "note"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The sentences of one result and, with them, the caveats that its checks raised; the first few are open.

    `verdict` is one or two words about a primary question. `descriptions` rest on no test, `notes` say where tests
    disagree or an average hides both signs: neither claims anything.
    `finding_id` is its anchor, `section_id` that of its figures and tables; `command` prints all sentences.
    `metric` is what it is about: charts of the same metric are lit with it. `caveat_numbers` are those of the page's
    list, once the caveats have been gathered there (``caveat_list.py``).
    """

    kind: ClassVar = "finding"
    finding_id: str = ""
    title: str
    sentences: tuple[str, ...]
    verdict: str = ""
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    section_id: str = ""
    shown: int = 2
    left_out: int = 0
    metric: str = ""
    caveat_numbers: tuple[int, ...] = ()
    command: str = ""

    @property
    def more(self) -> str:
        """Count the sentences that are not here and say where they are."""
        if not self.left_out:
            return ""
        counted = wording.counted(self.left_out, "further sentence")
        where = f"printed by {self.command}" if self.command else STORE
        return f"{counted} {'is' if self.left_out == 1 else 'are'} {where}."


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
class Choice:
    """What to choose on one data set: the choice, its verdict, a few large numbers, and sentences under them.

    `numbers` are (name, value, detail); `details` are shown on demand.
    """

    kind: ClassVar = "choice"
    choice_id: str
    place: str
    title: str
    entry: LegendEntry
    verdict: str
    against: str
    numbers: tuple[tuple[str, str, str], ...]
    sentences: tuple[str, ...]
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaveatList:
    """All caveats of the page, each once: (gist, the rest of its text, titles of the findings that it is about)."""

    kind: ClassVar = "caveats"
    items: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A link to another place of the page: a section says with it where its result is in words."""

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
    """Head and rows of text; `numeric`: which columns are set flush right; `folded`: shown on demand.

    Of a long table `rows` are the first, or those that `chosen` says; `left_out` counts the others, which are `rest`.
    """

    kind: ClassVar = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    left_out: int = 0
    folded: bool = False
    chosen: str = ""
    rest: str = STORE

    @property
    def shown(self) -> str:
        """Say which rows are here and where the others are; nothing where all do."""
        if not self.left_out:
            return ""
        n = len(self.rows)
        rows = f"{n:,} of {n + self.left_out:,} rows, {self.chosen}" if self.chosen else f"first {n:,} rows"
        return f" ({rows}; {self.left_out:,} more are {self.rest})"


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
    """One chart: its heading, its static drawing, and its Vega-Lite spec as JSON fit for a script element.

    `metric` is the column that it draws; empty where it draws none or several. `problem`: why it could not be drawn.
    """

    panel_id: str
    title: str
    svg: Markup
    spec: Markup
    metric: str = ""
    problem: str = ""


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

    @property
    def drawn(self) -> tuple[Panel, ...]:
        """The panels that could be drawn."""
        return tuple(panel for panel in self.panels if not panel.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One small picture in the page: `src` is a data URI made by ``map_images.py``, `alt` its text alternative."""

    src: str
    alt: str
    look: Literal["map", "difference", "photo"] = "map"


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryRow:
    """One method: a cell for each column of its view, pictures from top to bottom; empty where there is no model."""

    label: str
    entry: LegendEntry
    cells: tuple[tuple[Picture, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBar:
    """The key of a colour scale and its ends."""

    src: str
    label: str
    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryView:
    """One probe image under every model: methods down, the pretrained model and the learning rates across.

    `kind` is the kind of map, `title` its words; `image` counts from 1.
    """

    kind: str
    title: str
    image: int
    columns: tuple[str, ...]
    rows: tuple[GalleryRow, ...]
    scales: tuple[ScaleBar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Views of which one is shown at a time, chosen by kind of map and by image; numbers of every picture in the table.

    `photos` are the probe images themselves, by their number, where they are at hand.
    """

    kind: ClassVar = "gallery"
    figure_id: str
    title: str
    caption: str
    views: tuple[GalleryView, ...]
    photos: tuple[tuple[int, Picture], ...]
    table: Table

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """The kinds of maps with their words, in the order of the views."""
        return tuple({view.kind: view.title for view in self.views}.items())

    @property
    def images(self) -> tuple[int, ...]:
        """The numbers of the images, in order."""
        return tuple(sorted({view.image for view in self.views}))


Block = Note | Finding | Choice | CaveatList | Pointer | Facts | Table | Matrix | Figure | Gallery


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with its blocks; `lead` is the sentence under the heading.

    `beside` goes next to the blocks where the page is wide enough, and after them where it is not.
    """

    section_id: str
    title: str
    lead: str = ""
    blocks: tuple[Block, ...]
    beside: tuple[Block, ...] = ()

    @property
    def all_blocks(self) -> tuple[Block, ...]:
        """Every block in reading order."""
        return (*self.blocks, *self.beside)
