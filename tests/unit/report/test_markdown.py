import re

from heatdrift.report import ReportInput
from heatdrift.report.formats.markdown import document_markdown, escaped
from heatdrift.report.page import report_document


def tables(text):
    """The pipe tables of a Markdown text as lists of lines."""
    return [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]


def cells(line):
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_plain_text_cannot_become_markup():
    assert escaped("a|b <b> *x* [y](z) `c` &lt; ~~d~~ \\") == (r"a\|b \<b\> \*x\* \[y\](z) \`c\` \&lt; \~\~d\~\~ \\")
    assert escaped("delta_entropy_pct and _this_") == r"delta_entropy_pct and \_this\_"
    assert escaped("# no heading") == r"\# no heading"
    assert escaped("- no item") == r"\- no item"
    assert escaped("1. no item") == r"1\. no item"
    assert escaped("two\n\nlines") == "two lines"
    assert escaped("-5.2 points") == r"\-5.2 points"


def test_every_table_has_as_many_cells_as_its_head(document):
    found = tables(document_markdown(document))
    assert len(found) > 10
    for head, ruler, *rows in found:
        assert set(ruler) <= set("|-: ")
        assert {len(cells(line)) for line in (ruler, *rows)} == {len(cells(head))}


def test_findings_captions_and_tables_are_there_and_no_html(document, small):
    text = document_markdown(document)
    assert text.startswith("# demo\n\nheatdrift report\n\n")
    assert "## Findings" in text
    assert escaped(small.answers["interaction"][0].findings[0].removesuffix(".")) in text
    assert "### 2\\. Learning rate and Δ attention entropy: supported" in text
    assert "### Drift against learning rate" in text
    assert not re.search(r"(?<!\\)<(?!.*>\))", text)


def test_markup_in_names_is_escaped(builders):
    name = "<script>alert(1)</script>|`*"
    inp = builders.simulated(study=name, datasets=(name,), lrs=(1e-5,), seeds=2, results=False)
    text = document_markdown(report_document(inp))
    assert not re.search(r"(?<!\\)<script", text)
    for head, ruler, *rows in tables(text):
        assert {len(cells(line)) for line in (ruler, *rows)} == {len(cells(head))}


def test_pictures_stand_where_they_were_made(document):
    text = document_markdown(document, pictures={"fig-drift": "demo_figures/fig-drift.png"})
    assert text.count("](<demo_figures/fig-drift.png>)") == 1


def test_equal_documents_give_equal_text_and_an_empty_study_says_what_is_missing(document):
    assert document_markdown(document) == document_markdown(document)
    assert "**Missing.**" in document_markdown(report_document(ReportInput(study="nothing")))
