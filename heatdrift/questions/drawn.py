"""An answer as Altair charts: the figures that a page has of it, each whole, with its legends and its rows inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from heatdrift.errors import ReportError, UnknownNameError
from heatdrift.questions import QUESTIONS
from heatdrift.report.blocks import Figure
from heatdrift.report.files import write_file
from heatdrift.report.formats.png import figure_spec
from heatdrift.report.formats.vector import COLUMN_MM, KINDS, figure_svg, svg_pdf
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import prepare

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from heatdrift.questions.compare.result import StudyComparison
    from heatdrift.questions.presented import PresentedResult

T = TypeVar("T")


def answer_charts(answer: "PresentedResult", frames: "Mapping[str, pl.DataFrame]") -> "dict[str, alt.TopLevelMixin]":
    """Return figure id without `fig-` -> chart, in the order of the page; empty where a page has no figure of it.

    Parameters
    ----------
    frames : view -> the rows that the answer was computed from.
    """
    figures, datasets = _figures(answer, frames)
    return {figure.figure_id.removeprefix("fig-"): _chart(figure_spec(figure, datasets)) for figure in figures}


def write_chart(
    answer: "PresentedResult", frames: "Mapping[str, pl.DataFrame]", path: Path, name: str | None, width: str | float
) -> Path:
    """Write one figure for print, SVG or PDF by the name of the file, `width` in mm or the name of a column's."""
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in KINDS:
        raise UnknownNameError("kind of figure", suffix or path.name, KINDS)
    if isinstance(width, str) and width not in COLUMN_MM:
        raise UnknownNameError("width", width, COLUMN_MM)
    width_mm = COLUMN_MM[width] if isinstance(width, str) else float(width)
    if not 30 <= width_mm <= 400:
        raise ReportError(f"a figure of {width_mm:g} mm is no figure", hint="single, double, or 30 to 400")
    figures, datasets = _figures(answer, frames)
    named = {figure.figure_id.removeprefix("fig-"): figure for figure in figures}
    svg = figure_svg(one_chart(answer, named, name), datasets, width_mm)
    return write_file(path, svg if suffix == "svg" else svg_pdf(svg), hint="name a path that can be written")


def one_chart(answer: "PresentedResult", charts: Mapping[str, T], name: str | None) -> T:
    """Return the first chart, or the one of that name; ReportError where there is none."""
    kind = type(answer).__name__
    if not charts:
        raise ReportError(
            f"there is no chart of this {kind}: its numbers have no picture that says more than their table",
            hint="to_frame() gives the table; alt.Chart(answer.to_frame()) draws it your way",
        )
    if name is None:
        return next(iter(charts.values()))
    if name not in charts:
        raise UnknownNameError("chart", name, charts, where=f"this {kind}")
    return charts[name]


def _figures(
    answer: "PresentedResult", frames: "Mapping[str, pl.DataFrame]"
) -> "tuple[tuple[Figure, ...], Mapping[str, pl.DataFrame]]":
    question = _question(answer)
    if question == "compare":
        from heatdrift.questions.compare.section import compare_document

        document = compare_document(cast("StudyComparison", answer))
        return document.figures, document.datasets
    if question == "model":
        from heatdrift.questions.model.result import ModelResult
        from heatdrift.questions.model.section import model_blocks

        assert isinstance(answer, ModelResult)
        plain = prepare(ReportInput(study="table"))
        shown = model_blocks(answer, plain)
        return tuple(block for block in shown if isinstance(block, Figure)), plain.datasets
    declared = {question.name: question for question in QUESTIONS}.get(question)
    if declared is None or declared.place is None:
        return (), {}
    study = str(getattr(answer, "study", None) or "runs")
    inp = ReportInput(study=study, **cast("dict[str, Any]", dict(frames)))
    data = prepare(inp)
    blocks = declared.section.blocks([answer], inp, data)  # figures add their rows to data.datasets
    return tuple(block for block in blocks if isinstance(block, Figure)), data.datasets


def _question(answer: "PresentedResult") -> str:
    """Name of the folder that the answer's type is in."""
    return type(answer).__module__.split(".")[-2]


def _chart(spec: dict[str, Any]) -> "alt.TopLevelMixin":
    import altair as alt

    return alt.ConcatChart.from_dict(spec)
