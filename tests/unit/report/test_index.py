import pytest

from heatdrift.errors import ReportError
from heatdrift.report import ReportInput, write_report
from heatdrift.report.document import document_html
from heatdrift.report.files import write_file
from heatdrift.report.index import PageFacts, index_entries, page_facts
from heatdrift.report.index_page import render_index, write_index


def test_a_page_says_what_the_index_needs(tmp_path, document):
    path = write_file(tmp_path / "demo.html", document_html(document))
    assert page_facts(path) == PageFacts(title="demo", finished="", n_runs=8, kind="report")


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
