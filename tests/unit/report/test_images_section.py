"""Single images on a page: figures and tables of the answer, no section where no run has any."""

import json
from dataclasses import replace

import msgspec
import polars as pl
import pytest
from report_inputs import section_of, simulated, without
from simulated_images import balanced, simulated_images

from heatdrift.questions import QUESTIONS
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.images.analysis import for_page, images
from heatdrift.questions.images.class_slopes import DRAWN, slopes, slopes_figure
from heatdrift.questions.images.variance import shares, variance_figure
from heatdrift.report.blocks import Figure, Finding, Note, Table
from heatdrift.report.inputs import EPOCHS, HEADS, LAYERS, empty_view
from heatdrift.report.page import page_sections, render_html
from heatdrift.report.sections.findings import exploratory
from heatdrift.report.study_data import prepare
from heatdrift.report.theme import SHAPE_PATHS

RUNS = balanced(datasets=("shapes", "textures"))


@pytest.fixture(scope="module")
def answer():
    return images(RUNS, simulated_images(RUNS), bootstrap=100)


@pytest.fixture(scope="module")
def page(answer):
    return without(simulated(results=False), images=(answer,))


def of(blocks, kind):
    return [block for block in blocks if isinstance(block, kind)]


def test_a_page_shows_differences_limits_retention_and_classes(page, answer):
    section = section_of("images", page, prepare(page))
    figures = {f.figure_id: f for f in of(section.blocks, Figure)}
    assert set(figures) == {"fig-images", "fig-variance", "fig-images-classes", "fig-class-slopes"}
    assert next(p.title for p in figures["fig-images"].panels).startswith("LoRA r=8")
    assert len(figures["fig-images"].table.rows) == len(answer.rows)
    captions = [t.caption for t in of(section.blocks, Table)]
    assert any(c.startswith("Retention") for c in captions)
    assert any(c.startswith("Confusions") for c in captions)
    assert any(c.startswith("McNemar") for c in captions)
    limits = [n.text for n in of(section.blocks, Note) if "twice the seeds" in n.text]
    assert len(limits) == 3


def test_the_most_forgotten_classes_are_drawn_by_their_loss(page, answer):
    rows = slopes(answer)
    for method in rows["method"].unique().to_list():
        own = rows.filter(pl.col("method") == method)
        wanted = sorted((r.change, r.name) for r in answer.classes if r.of == method and r.change < 0)[:DRAWN]
        assert own.select("change", "name").rows() == wanted
    assert (rows["adapted"] - rows["base"]).to_list() == pytest.approx(rows["change"].to_list())
    figure = slopes_figure(answer, prepare(page))
    assert len(figure.panels) == rows["method"].n_unique()
    assert len(figure.table.rows) == rows.height
    base = next(entry for entry in figure.legend if entry.label == "pretrained model")
    assert (base.look, base.path) == ("mark", SHAPE_PATHS["circle"])  # as it is drawn
    drawn = json.loads(figure.panels[0].spec)["layer"][1]["mark"]
    assert drawn["shape"] == "circle"
    assert drawn["color"] == base.colour


def test_the_shares_of_variance_are_those_of_the_parts_and_of_the_error(page, answer):
    row = answer.split[0]
    found = shares(row)
    assert [sum(parts) for parts in found.values()] == pytest.approx([1.0, 1.0])
    total = row.se_of_seeds**2 + row.se_of_images**2  # the rest belongs to the error of seeds there
    seeds, images, rest = found["mean"]
    assert images == pytest.approx(row.se_of_images**2 / total)
    assert seeds + rest == pytest.approx(row.se_of_seeds**2 / total)
    one = found["one"]
    assert one[1] / one[2] == pytest.approx(row.sd_image**2 / row.sd_rest**2)
    data = prepare(page)
    figure = variance_figure(answer, data)
    assert [panel.problem for panel in figure.panels] == ["", ""]
    assert len(figure.table.rows) == len(answer.split)
    ends = data.datasets["fig-variance-rows"].group_by("panel", "row").agg(pl.col("high").max(), pl.col("low").min())
    assert ends["high"].to_list() == pytest.approx([1.0] * ends.height)
    assert ends["low"].to_list() == [0.0] * ends.height
    assert variance_figure(msgspec.structs.replace(answer, split=()), data) is None


def test_the_sentences_are_with_what_was_also_seen(page, answer):
    found = of(exploratory(page, prepare(page)).blocks, Finding)
    (own,) = (f for f in found if f.section_id == "images")
    assert {text.split(":")[0] for text in own.sentences} >= {text.split(":")[0] for text in answer.findings}
    assert own.notes == answer.notes
    assert "heatdrift stats images" in own.command


def test_runs_without_classes_have_a_section_without_them(page):
    old = images(RUNS, simulated_images(RUNS, kept=False), bootstrap=100)
    bare = replace(page, answers={"images": (old,)})
    section = section_of("images", bare, prepare(bare))
    assert [f.figure_id for f in of(section.blocks, Figure)] == ["fig-images", "fig-variance"]
    assert any("no classes kept" in n.text for n in of(section.blocks, Note))


def test_the_section_is_on_the_page_only_where_there_is_something_to_say(page):
    order = [s.section_id for s in page_sections(page, prepare(page))]
    assert order.index("images") > order.index("frontier")
    none = without(page, "images")
    assert "images" not in [s.section_id for s in page_sections(none, prepare(none))]
    failed = replace(none, unavailable={"images": ("The images are not the same for two runs.",)})
    (section,) = (s for s in page_sections(failed, prepare(failed)) if s.section_id == "images")
    assert "not the same" in section.blocks[0].text


def test_the_page_renders(page):
    assert 'id="fig-images"' in render_html(page)


def test_a_study_without_results_of_single_images_is_not_asked():
    views = {"epochs": empty_view(EPOCHS), "layers": empty_view(LAYERS), "heads": empty_view(HEADS)}
    assert list(for_page(StudyRuns(runs=RUNS, **views))) == []
    ((what, ask),) = for_page(StudyRuns(runs=RUNS, hits=simulated_images(RUNS), **views))
    assert what == "comparison image by image"
    assert ask().n_runs == RUNS.height


def test_the_declaration_asks_for_hits():
    assert [q.name for q in QUESTIONS if q.arrays] == ["images"]
