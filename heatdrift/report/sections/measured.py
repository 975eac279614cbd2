"""The sections of what was measured, before any test: dose-response, layers, course over epochs."""

from typing import Final

from heatdrift import wording
from heatdrift.report.blocks import Block, Note, Pointer, Section
from heatdrift.report.caveats import selection_sentences
from heatdrift.report.charts import HEIGHT
from heatdrift.report.figures import dose_response, layer_heatmaps, trajectories
from heatdrift.report.head_drift import head_drift
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.study_data import DRIFT, StudyData

# Places of these sections on the page (``page.py`` has those of the others).
DOSE: Final = 20
LAYERS: Final = 30
COURSE: Final = 40
PERFORMANCE: Final = "fig-performance"
TOP_PLACES: Final = 3  # data sets next to each other at the top of the page
TOP_HEIGHT: Final = 150


def measured(inp: ReportInput, data: StudyData) -> tuple[tuple[int, Section], ...]:
    """Return dose-response, layers and course, each with its place; one note instead where no run can be drawn."""
    if data.runs.is_empty():
        text = "No finished run with a learning rate above 0: there is nothing to draw."
        return ((DOSE, Section(section_id="dose", title="Dose-response", blocks=(Note(text=text, tone="missing"),))),)
    title = "Drift against learning rate"
    drift = figure_or_note(title, lambda: dose_response(data, "fig-drift", title, DRIFT, _shared(inp)), data.datasets)
    top = "" if not _at_the_top(data) else "Accuracy and zero-shot retention against the learning rate: at the top"
    above: tuple[Block, ...] = (Pointer(text=top, target=PERFORMANCE),) if top else _performance(inp, data)
    dose = Section(
        section_id="dose",
        title="Dose-response",
        lead="What each learning rate does to attention, representations, weights, accuracy and zero-shot ability.",
        blocks=(*above, *drift),
    )
    layers = Section(
        section_id="layers",
        title="Layers and heads",
        lead="How far attention entropy moved in each block, and in which blocks and heads the methods differ.",
        blocks=(
            *figure_or_note("attention by block", lambda: layer_heatmaps(data, "fig-layers"), data.datasets),
            *figure_or_note("attention maps by head", lambda: head_drift(data, inp.heads), data.datasets),
        ),
    )
    course = Section(
        section_id="course",
        title="Course over epochs",
        lead="When accuracy, drift and forgetting happen during training.",
        blocks=tuple(figure_or_note("course over epochs", lambda: trajectories(data, "fig-course"), data.datasets)),
    )
    return ((DOSE, dose), (LAYERS, layers), (COURSE, course))


def performance(inp: ReportInput, data: StudyData) -> tuple[Block, ...]:
    """Return accuracy and retention against the learning rate, for the top of the page; nothing where it is too wide.

    The section of doses then has them.
    """
    return _performance(inp, data, height=TOP_HEIGHT) if _at_the_top(data) else ()


def _at_the_top(data: StudyData) -> bool:
    return not data.runs.is_empty() and len(data.drawn) <= TOP_PLACES


def _shared(inp: ReportInput) -> str:
    level = f"{wording.percent(inp.conf_level)} t-intervals"
    return f"Means over seeds with {level}, at the selected epoch. Methods at one rate are drawn side by side."


def _performance(inp: ReportInput, data: StudyData, *, height: int = HEIGHT) -> tuple[Block, ...]:
    transfer_sets = sorted(inp.done["transfer_set"].drop_nulls().unique().to_list())
    on = f" Retention on {wording.listed(transfer_sets)}." if transfer_sets else ""
    kept = f"{_shared(inp)}{on} {' '.join(selection_sentences(inp))}"
    title = "Accuracy and zero-shot retention"
    return tuple(
        figure_or_note(
            title,
            lambda: dose_response(data, PERFORMANCE, title, data.performance, kept, height=height),
            data.datasets,
        )
    )
