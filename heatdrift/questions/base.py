"""What a question is: its declaration, and the way from it to what its folder holds.

A question is a folder. Its ``__init__`` declares it (`Question`, light: the command line reads it at start-up),
``result`` types the answer, ``analysis`` makes it from runs, ``findings`` puts it into sentences and ``section`` onto
a page. Nobody else knows a question by name: commands and page loop over ``heatdrift.questions.QUESTIONS``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from heatdrift.primary import QuestionsSpec
from heatdrift.questions.answer import Answer
from heatdrift.questions.options import Option

if TYPE_CHECKING:
    import polars as pl

    from heatdrift.image_results import Arrays
    from heatdrift.report.blocks import Block, Finding
    from heatdrift.report.inputs import ReportInput
    from heatdrift.report.study_data import StudyData


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRuns:
    """Rows of the public views of one study, from which the questions of a page are answered.

    Attributes
    ----------
    runs, epochs, layers, heads : the views; layers and heads hold the selected epochs and the probes asked for.
    metrics : metrics to model; empty = the usual ones.
    asked : the primary questions of the study, which are modelled whatever `metrics` says.
    conf_level : of all intervals, in (0, 1).
    note : takes a sentence about something that was done otherwise than asked.
    hits : cell id -> results of single images (``heatdrift/image_results.py``), read when asked for; runs may lack
        them.
    """

    runs: "pl.DataFrame"
    epochs: "pl.DataFrame"
    layers: "pl.DataFrame"
    heads: "pl.DataFrame"
    metrics: tuple[str, ...] = ()
    asked: QuestionsSpec = field(default_factory=QuestionsSpec)
    conf_level: float = 0.95
    note: Callable[[str], None] = lambda text: None
    hits: "Mapping[str, Arrays]" = field(default_factory=dict)


Attempt = tuple[str, Callable[[], Answer]]  # what is tried, in words, and how


class AnalysisModule(Protocol):
    """What ``analysis`` of a question holds besides the function of its name."""

    def for_page(self, study: StudyRuns) -> Iterable[Attempt]:
        """Return what a page shows."""


class SectionModule(Protocol):
    """What ``section`` of a question holds; `answers` are of the question's own type."""

    def blocks(self, answers: Sequence[Any], inp: "ReportInput", data: "StudyData") -> "list[Block]":
        """Return the blocks of the section."""

    def headlines(self, answers: Sequence[Any], data: "StudyData") -> "list[Finding]":
        """Return what the answers say, with their caveats, for the first section of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a question is on a page.

    Attributes
    ----------
    section : identifier of the section; several blocks of the page may share one.
    title, lead : its heading and the sentence under it.
    order : its place among the sections (``report/page.py`` lists those that are no question).
    otherwise : what the section says where there is no answer and no reason is known; empty = then there is no section.
    """

    section: str
    title: str
    lead: str
    order: int
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question that may be asked of the runs of a study.

    Attributes
    ----------
    name : of the folder, of the function in its ``analysis``, and of the command ``heatdrift stats NAME``.
    order : place among the commands and among the findings of a page.
    help, example : what the command's help says.
    options : of the command; their parameters are those of the analysis function.
    views : views that are passed to the analysis after ``runs``.
    arrays : arrays of the run folders that are passed after the views, as cell id -> arrays; None = none.
    noun : what its answers are called where a page lists methods.
    place : where it is on a page; None = on none.
    page_probes : per-block probes that a page's answer needs.
    """

    name: str
    order: int
    help: str
    example: str
    options: tuple[Option, ...]
    noun: str
    views: tuple[str, ...] = ()
    arrays: Literal["hits"] | None = None
    place: Place | None = None
    page_probes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that prints the answer."""
        return f"heatdrift stats {self.name}"

    def ask(self, *given: "pl.DataFrame | Mapping[str, Arrays]", **options: object) -> Answer:
        """Answer from rows of ``runs``, of the question's other views, and its arrays where it has some."""
        return cast("Answer", getattr(self._module("analysis"), self.name)(*given, **options))

    def for_page(self, study: StudyRuns) -> Iterable[Attempt]:
        """Return what a page shows of this question: each answer may fail without the others."""
        return cast("AnalysisModule", self._module("analysis")).for_page(study)

    @property
    def section(self) -> "SectionModule":
        """What puts its answers onto a page."""
        return cast("SectionModule", self._module("section"))

    def _module(self, name: str) -> object:
        return import_module(f"{__package__}.{self.name}.{name}")
