"""A figure that cannot be drawn costs that figure: every kind of it is made to fail on a whole page, one at a time."""

import pytest
from report_inputs import simulated, with_everything

from heatdrift.questions.correlation import section as correlation
from heatdrift.questions.frontier import section as frontier
from heatdrift.questions.layers import section as layers
from heatdrift.report import forest
from heatdrift.report.blocks import Figure, Note
from heatdrift.report.page import page_sections
from heatdrift.report.sections import measured
from heatdrift.report.study_data import prepare

KINDS = {
    "dose_response": (measured, ("fig-performance", "fig-drift")),
    "layer_heatmaps": (measured, ("fig-layers",)),
    "trajectories": (measured, ("fig-course",)),
    "correlation_figure": (correlation, ("fig-correlation-1",)),
    "_front_figure": (frontier, ("fig-frontier",)),
    "_head_figure": (layers, ("fig-heads-entropy", "fig-heads-erf95")),
}


@pytest.fixture(scope="module")
def study():
    return with_everything(simulated(seeds=3))


def drawn(study):
    data = prepare(study)
    blocks = [block for section in page_sections(study, data) for block in section.all_blocks]
    names = {block.figure_id: block for block in blocks if isinstance(block, Figure)}
    return names, [block.text for block in blocks if isinstance(block, Note)], data.datasets


def failing(*args, **kwargs):
    raise ValueError("no such scale")


@pytest.fixture(scope="module")
def whole(study):
    return set(drawn(study)[0])


@pytest.mark.parametrize("name", KINDS)
def test_it_leaves_a_note_and_all_other_figures(study, whole, monkeypatch, name):
    module, lost = KINDS[name]
    assert set(lost) <= whole
    monkeypatch.setattr(module, name, failing)
    figures, notes, _ = drawn(study)
    assert set(figures) == whole - set(lost)
    assert sum("could not be drawn" in note and "no such scale" in note for note in notes) == len(lost)


def test_a_forest_keeps_its_table_and_says_why_it_is_missing(study, whole, monkeypatch):
    monkeypatch.setattr(forest, "forest_chart", failing)
    figures, _, datasets = drawn(study)
    assert set(figures) == whole
    failed = {name: f for name, f in figures.items() if [p.problem for p in f.panels] == ["ValueError: no such scale"]}
    assert {"fig-paired-1", "fig-dose-trend", "fig-predictors"} & set(failed)
    assert all(figure.table.rows and not figure.drawn for figure in failed.values())
    assert not any(name.removesuffix("-rows") in failed for name in datasets)
