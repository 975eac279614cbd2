import re

from heatdrift.report.charts import layered, rows_of
from heatdrift.report.drawing import draw_panel
from heatdrift.report.static import slim, static_twin
from heatdrift.report.theme import FONT

RAW = (
    '<svg xmlns="http://www.w3.org/2000/svg" version="1.1" class="marks" width="40" height="30" viewBox="0 0 40 30">'
    '<rect width="40" height="30" fill="transparent"/><g class="mark-group role-frame root" role="graphics-object">'
    '<path class="background" aria-hidden="true" d="M0,0h362.5v230h-362.5Z"/><g></g>'
    '<g clip-path="url(#clip7)"><path aria-label="x" d="M1.23456,2.5L-0.04,3e1" stroke="red" stroke-width="1"/></g>'
    f'<text text-anchor="end" font-family="{FONT}" opacity="1" transform="translate(1.98765,2)">'
    'role="a" 1.23456 &lt;g&gt;</text>'
    '</g><defs><clipPath id="clip7"><rect x="0" y="0" width="5" height="5"/></clipPath></defs></svg>'
)
LRS = (1e-5, 1e-4)  # of the fixture `small`


def test_what_draws_nothing_goes_and_what_draws_stays():
    twin = str(static_twin(RAW, "fig-1"))
    assert 'd="M1.2,2.5L-0,3e1" stroke="red"/>' in twin
    assert 'transform="translate(2,2)"' in twin
    assert "background" not in twin
    assert "<g></g>" not in twin
    assert twin.count("<g") == twin.count("</g>") == 1
    assert "font-family" in twin.split(">")[0]
    assert twin.count("font-family") == 1


def test_text_that_looks_like_attributes_or_numbers_is_left_alone():
    assert 'role="a" 1.23456 &lt;g&gt;</text>' in slim(RAW)


def test_ids_are_of_the_panel_and_references_follow():
    twin = str(static_twin(RAW, "fig-1"))
    assert 'clip-path="url(#fig-1-part-1)"' in twin
    assert '<clipPath id="fig-1-part-1">' in twin


def test_every_mark_and_every_word_of_a_real_chart_is_kept(document):
    panel = document.figures[0].panels[0]
    svg = str(panel.svg)
    means = 2 * len(LRS)  # methods x learning rates
    singles = means * 2
    assert len(re.findall(r"<path[^>]* fill=", svg)) >= means + singles
    assert "peak learning rate" in svg
    assert not re.search(r'="[^"]*\.\d{2,}[^"]*"', re.sub(r'(opacity|stroke-width|font-family|id)="[^"]*"', "", svg))


def test_markup_in_names_stays_escaped_in_the_drawing(small):
    rows = small.runs.head(1).with_columns(place=small.runs["dataset"].head(1)).select("lr", "seed", "place")
    rows = rows.with_columns(label=rows["place"].replace_strict({rows["place"][0]: "<script>&\"'"}))
    chart = layered(rows_of("runs").mark_text().encode(text="label:N", x="lr:Q", y="seed:Q"))
    panel = draw_panel("fig-x", "", chart, {"runs": rows})
    assert "&lt;script" in panel.svg
    assert "<script" not in panel.svg
