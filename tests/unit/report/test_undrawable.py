"""Names that end a drawing program, and charts that it cannot draw: the page is made all the same."""

from dataclasses import replace

import altair as alt
import polars as pl
import pytest

from heatdrift.errors import ReportError
from heatdrift.report import charts
from heatdrift.report.blocks import Figure, Section, Table
from heatdrift.report.document import document_html
from heatdrift.report.drawing import draw_panel
from heatdrift.report.formats.png import write_pngs
from heatdrift.report.formats.vector import write_figures
from heatdrift.report.vega import draw_png, draw_svg

NASTY = ["a\x1b[31mb", "a\x00b", "a\ufffeb", "a\uffffb", "a\x9bb", "a\udc80b"]


@pytest.fixture(autouse=True)
def no_kept_drawings(monkeypatch):
    monkeypatch.setenv("HEATDRIFT_CACHE", "off")


def spec_of(name):
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": [{"name": name, "n": 1}]},
        "mark": "bar",
        "encoding": {"x": {"field": "name", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}},
    }


@pytest.mark.parametrize("name", NASTY)
def test_control_characters_do_not_end_the_process(name):
    assert "<svg" in draw_svg(spec_of(name))
    assert draw_png(spec_of(name), 1.0).startswith(b"\x89PNG")


def test_a_spec_that_vega_refuses_is_our_error():
    with pytest.raises(ReportError, match="cannot be drawn"):
        draw_svg({"mark": "nothing", "data": {"values": []}})


def panel(number, mark):
    rows = charts.rows_of("rows").mark_point().encode(x=alt.X("x:Q"))
    rows.mark = mark
    chart = charts.layered(rows)
    return draw_panel(f"fig-{number}", f"panel {number}", chart, {"rows": pl.DataFrame({"x": [1.0]})})


@pytest.fixture
def figure():
    table = Table(caption="values", head=("x",), rows=(("1",),), numeric=(True,))
    return Figure(
        figure_id="fig", title="t", caption="c", alternative="a", legend=(), table=table,
        panels=(panel(1, "point"), panel(2, "nothing")),
    )  # fmt: skip


def test_a_chart_that_cannot_be_drawn_costs_that_chart(figure):
    first, second = figure.panels
    assert not first.problem
    assert "<svg" in first.svg
    assert second.problem.startswith("a chart cannot be drawn: ")
    assert figure.drawn == (first,)


def test_the_page_and_the_files_have_the_others(figure, document, tmp_path):
    section = Section(section_id="s", title="s", blocks=(figure,))
    empty = replace(figure, figure_id="none", panels=figure.panels[1:])
    made = replace(document, sections=(section, Section(section_id="e", title="e", blocks=(empty,))))
    made = replace(made, datasets={"rows": pl.DataFrame({"x": [1.0]})})
    html = document_html(made)
    assert html.count('class="panel"') == 1
    assert html.count("a chart cannot be drawn: ") == 2
    assert list(write_pngs(made, tmp_path)) == ["fig"]
    assert list(write_figures(made, tmp_path, ("svg",), 85.0)) == ["fig"]
