import html
import json
from dataclasses import replace

import polars as pl
import pytest
from report_inputs import simulated

from heatdrift import wording
from heatdrift.errors import ReportError
from heatdrift.questions.outcomes import Family, PrimaryOutcome
from heatdrift.report import ReportInput, write_report
from heatdrift.report.document import document_html
from heatdrift.report.files import write_file
from heatdrift.report.index import index_entries, page_facts
from heatdrift.report.index_page import render_index, write_index
from heatdrift.report.page import _first_finding
from heatdrift.report.sections.findings import compared
from heatdrift.report.small_picture import HEIGHT, WIDTH, drawing, read_picture, small_picture
from heatdrift.report.study_data import prepare


def test_a_page_says_what_the_index_needs(tmp_path, document):
    path = write_file(tmp_path / "demo.html", document_html(document))
    facts = page_facts(path)
    assert facts == document.facts
    assert (facts.title, facts.finished, facts.n_runs, facts.kind) == ("demo", "", 8, "report")


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A page of a study with retention, and its input."""
    inp = simulated(datasets=("shapes", "textures"), lrs=(1e-5, 1e-4, 1e-3), seeds=2)
    return inp, write_report(inp, tmp_path_factory.mktemp("studied") / "s.html")


def test_a_page_carries_the_numbers_of_its_picture_and_the_index_draws_them(studied):
    inp, path = studied
    facts = page_facts(path)
    assert facts.compared == compared(inp)
    assert len(facts.picture.lines) == 4  # methods and data sets
    line = facts.picture.lines[0]
    own = inp.done.filter((pl.col("place") == line.place) & (pl.col("method") == "full_ft") & (pl.col("lr") == 1e-5))
    assert line.points[0] == (1e-5, pytest.approx(own["retention_pct"].mean(), rel=1e-3))
    page = render_index(path.parent)
    assert page.count('role="img"') == 1
    assert page.count('stroke-width="1.6"') == 4
    assert "Zero-shot retention (% of base) against learning rate, a line per data set" in page
    assert wording.number(line.points[-1][1]) in page[page.index("aria-label=") :][:600]  # in words, too


def test_the_first_finding_is_said_with_its_verdict(studied):
    inp, _ = studied
    sentence = "Retention is higher with A than with B: +3 points (95 % CI +1 to +5; t(4) = 9, p = 0.001)."
    outcome = PrimaryOutcome(
        position=1, metric="retention_pct", term="method", sentence=sentence, verdict="supported", key=None, p=0.001,
        p_adjusted=0.001, against=None,
    )  # fmt: skip
    data = replace(prepare(inp), family=Family(primary=(outcome,)))
    assert _first_finding(data) == "Supported: Retention is higher with A than with B: +3 points (95 % CI +1 to +5)."
    assert _first_finding(replace(data, family=Family())) == ""  # a study without primary questions


LINE = {"method": "m", "place": "p", "colour": "series-1", "shape": "circle", "points": [[1e-4, 1.0], [1e-3, 2.0]]}
GOOD = {"title": "t", "level": None, "lines": [LINE]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("colour", 'red" onload="alert(1)'), ("shape", "M0,0"), ("points", []), ("points", [[0.0, 1.0]]),
        ("points", [[1e-3, 1.0], [1e-4, 1.0]]), ("points", [[1e-3, "x"]]), ("points", [[1e-3, 1.0]] * 50),
        ("points", None),
    ],
)  # fmt: skip
def test_a_picture_that_no_page_of_ours_would_carry_is_not_drawn(field, value):
    assert read_picture(GOOD) is not None
    assert read_picture({**GOOD, "lines": [{**GOOD["lines"][0], field: value}]}) is None


@pytest.mark.parametrize(
    "value", [None, 3, "text", [], {}, {**GOOD, "lines": []}, {**GOOD, "lines": GOOD["lines"] * 99}]
)
def test_without_a_readable_picture_the_page_is_listed_all_the_same(value, tmp_path):
    assert read_picture(value) is None
    text = json.dumps({"title": "old", "finished": "", "n_runs": 1, "kind": "report", "picture": value})
    (tmp_path / "old.html").write_text(f"<meta name='heatdrift-report' content='{text}'>")
    page = render_index(tmp_path)
    assert "old.html" in page
    assert "<svg" not in page


def test_words_of_a_strangers_picture_are_escaped(tmp_path):
    line = {**GOOD["lines"][0], "method": "<b>m</b>", "place": '"><i>'}
    text = html.escape(json.dumps({"title": "x", "finished": "", "n_runs": 1, "kind": "report",
                                   "finding": "<u>f</u>", "compared": "<s>c</s>",
                                   "picture": {**GOOD, "title": "<em>t</em>", "lines": [line]}}))  # fmt: skip
    (tmp_path / "x.html").write_text(f'<meta name="heatdrift-report" content="{text}">')
    page = render_index(tmp_path)
    assert "&lt;b&gt;m&lt;/b&gt;" in page
    for tag in ("<b>", "<i>", "<u>", "<s>", "<em>"):
        assert tag not in page


def test_one_rate_and_equal_values_have_a_place():
    one = read_picture({**GOOD, "level": 5.0, "lines": [{**GOOD["lines"][0], "points": [[1e-4, 5.0]]}]})
    drawn = drawing(one)
    (mark,) = drawn.marks
    assert 0 < mark[2] < WIDTH
    assert 0 < mark[3] < HEIGHT
    assert drawn.level_y == mark[3]
    assert len(drawn.texts) == 2


def test_a_study_without_retention_shows_its_accuracy_and_one_without_runs_nothing():
    inp = simulated(datasets=("shapes",), lrs=(1e-5, 1e-4), seeds=2, results=False)
    bare = ReportInput(study="s", runs=inp.runs.with_columns(retention_pct=pl.lit(None, dtype=pl.Float64)))
    assert "ccuracy" in small_picture(prepare(bare)).title
    assert small_picture(prepare(ReportInput(study="empty"))) is None


def test_names_with_markup_survive_the_meta_element_and_are_escaped_in_the_index(tmp_path):
    name = "<b>\"quoted\"</b> & 'more' 中文"
    assert page_facts(write_report(ReportInput(study=name), tmp_path / "a b#.html")).title == name
    page = render_index(tmp_path)
    assert "<b>" not in page
    assert "&lt;b&gt;&#34;quoted&#34;" in page
    assert 'href="a%20b%23.html"' in page


def test_the_index_lists_our_pages_only_in_a_fixed_order(tmp_path):
    for name in ("zebra", "ant"):
        write_report(ReportInput(study=name), tmp_path / f"{name}.html")
    (tmp_path / "foreign.html").write_text("<html><title>ant</title></html>")
    (tmp_path / "broken.html").write_text('<meta name="heatdrift-report" content="{">')
    (tmp_path / "ant.pdf").write_bytes(b"%PDF-")
    assert write_index(tmp_path) == tmp_path / "index.html"
    assert [entry.title for entry in index_entries(tmp_path)] == ["ant", "zebra"]
    assert next(index_entries(tmp_path)).other_formats == (("ant.pdf", "PDF"),)
    before = (tmp_path / "index.html").read_bytes()
    write_index(tmp_path)
    assert (tmp_path / "index.html").read_bytes() == before
    assert b"script-src &#39;none&#39;" in before
    assert b"<script" not in before


def test_a_foreign_index_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("my own page")
    assert write_index(tmp_path) is None
    assert (tmp_path / "index.html").read_text() == "my own page"


def test_an_empty_folder_says_so(tmp_path):
    assert "no report in this folder" in render_index(tmp_path)


def test_a_file_that_cannot_be_written_is_a_clear_error_and_leaves_nothing(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ReportError, match="cannot be written"):
        write_file(tmp_path / "page.html", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
