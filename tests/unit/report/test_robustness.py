"""The section on accuracy under corruption: there only where a study has corruptions, with every value in its table."""

import json
from dataclasses import replace

import polars as pl
import pytest
from report_inputs import simulated

from heatdrift.report.page import page_sections
from heatdrift.report.sections.robustness import NAME, robustness
from heatdrift.report.study_data import prepare


@pytest.fixture(scope="module")
def inp():
    """A simulated study whose runs lose 10 points under contrast_3 and 30 under fog."""
    plain = simulated(results=False)
    rows = [
        {"study": "demo", "cell_id": cell, "corruption": name, "acc_pct": acc - lost}
        for cell, acc in plain.runs.select("cell_id", "test_acc_pct").iter_rows()
        for name, lost in (("fog", 30.0), ("contrast_3", 10.0))
    ]
    return replace(plain, robustness=pl.DataFrame(rows))


def test_a_study_without_corruptions_has_no_section():
    plain = simulated(results=False)
    assert "robustness" not in [s.section_id for s in page_sections(plain, prepare(plain))]


def test_a_study_with_corruptions_has_one(inp):
    assert "robustness" in [s.section_id for s in page_sections(inp, prepare(inp))]


def test_panels_marks_and_table(inp):
    data = prepare(inp)
    (figure,) = robustness(inp, data).blocks
    titles = [panel.title for panel in figure.panels]
    assert titles == [
        f"{place}, {name}" for place in ("shapes", "textures") for name in ("uncorrupted", "contrast 3", "fog")
    ]
    assert data.datasets[NAME].height == 3 * inp.done.height
    specs = [json.loads(panel.spec) for panel in figure.panels[:3]]
    domains = {json.dumps(spec["layer"][0]["encoding"]["y"]["scale"]["domain"]) for spec in specs}
    assert len(domains) == 1  # heights compare
    head = list(figure.table.head)
    row = dict(zip(head, figure.table.rows[0], strict=True))
    assert head[-3:] == ["uncorrupted (%)", "contrast 3 (%)", "fog (%)"]
    assert float(row["uncorrupted (%)"]) - float(row["fog (%)"]) == pytest.approx(30, abs=0.02)
    assert row["n (seeds)"] == "5"


def test_more_panels_than_fit_are_said(inp):
    more = [inp.robustness.with_columns(corruption=pl.lit(f"kind_{i}")) for i in range(9)]
    many = replace(inp, robustness=pl.concat([inp.robustness, *(m.unique("cell_id") for m in more)]))
    (figure,) = robustness(many, prepare(many)).blocks
    assert len(figure.panels) == 12
    assert "the first 12 of 24" in figure.caption


def test_runs_without_drift_have_the_table_alone(inp):
    none = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ("delta_entropy_pct", "weight_drift")]
    bare = replace(inp, runs=inp.runs.with_columns(none))
    (table,) = robustness(bare, prepare(bare)).blocks
    assert table.kind == "table"
