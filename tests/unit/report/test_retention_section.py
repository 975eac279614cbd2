"""Retention against 100 % on a page: a row for each method, the margin where the study has one, no section without."""

import polars as pl
from report_inputs import section_of, simulated, without

from heatdrift.primary import QuestionsSpec
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.retention.analysis import for_page, retention
from heatdrift.report.blocks import Figure, Finding, Table
from heatdrift.report.inputs import EPOCHS, HEADS, LAYERS, empty_view
from heatdrift.report.sections.findings import exploratory
from heatdrift.report.study_data import prepare


def of(blocks, kind):
    return [block for block in blocks if isinstance(block, kind)]


def study(runs, **more):
    return StudyRuns(runs=runs, epochs=empty_view(EPOCHS), layers=empty_view(LAYERS), heads=empty_view(HEADS), **more)


def test_each_method_has_its_row_and_the_margin_its_table():
    page = simulated(results=False)
    for margin, tables in ((None, 0), (5.0, 1)):
        answer = retention(page.runs, margin=margin)
        shown = without(page, retention=(answer,))
        section = section_of("retention", shown, prepare(shown))
        figure, _ = of(section.blocks, Figure)  # and the profile
        averages = [row for row in answer.rows if row.lr is None]
        assert len(figure.table.rows) == len(averages)
        found = of(section.blocks, Table)
        assert len(found) == tables
        assert [row[-1] for table in found for row in table.rows] == [row.decision for row in answer.margins]


def test_its_sentences_are_with_what_was_also_seen():
    page = simulated(results=False)
    shown = without(page, retention=(retention(page.runs),))
    (own,) = (f for f in of(exploratory(shown, prepare(shown)).blocks, Finding) if f.section_id == "kept")
    assert any(text.startswith("Mean zero-shot retention of") for text in own.sentences)


def test_a_page_asks_with_the_studys_margin_and_only_where_retention_was_measured():
    runs = simulated(results=False).runs
    ((_, ask),) = for_page(study(runs, asked=QuestionsSpec(margin=3.0)))
    assert ask().margin == 3.0
    assert list(for_page(study(runs.with_columns(retention_pct=pl.lit(None, dtype=pl.Float64))))) == []
