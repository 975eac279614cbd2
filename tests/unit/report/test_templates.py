"""Parts of a page and its tables as LaTeX: nothing points to what is not there, the numbers are the page's."""

import re
from dataclasses import replace

import pytest

from heatdrift.errors import UnknownNameError
from heatdrift.report.blocks import Figure, Finding, Note, Table
from heatdrift.report.document import document_html
from heatdrift.report.formats.latex import document_latex, latex_text
from heatdrift.report.page import report_document
from heatdrift.report.sections.paragraph import paragraph
from heatdrift.report.study_data import prepare
from heatdrift.report.templates import TEMPLATES, one_section, templated


@pytest.fixture(scope="module")
def whole(builders, study):
    return report_document(builders.with_everything(study))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_has_its_sections_and_no_link_leads_nowhere(whole, name):
    part = templated(whole, name)
    known = [s.section_id for s in whole.sections]
    assert [s.section_id for s in part.sections] == [i for i in known if not TEMPLATES[name] or i in TEMPLATES[name]]
    page = re.sub(r"<script.*?</script>", "", document_html(part), flags=re.DOTALL)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'\sid="([^"]*)"', page))


def test_every_section_can_be_alone(whole):
    for section in whole.sections:
        (only,) = one_section(whole, section.section_id).sections
        assert only.title == section.title
        assert all(not b.caveat_numbers for b in only.blocks if isinstance(b, Finding))
    with pytest.raises(UnknownNameError) as error:
        one_section(whole, "fronteer")
    assert "frontier" in error.value.hint
    with pytest.raises(UnknownNameError) as error:
        templated(whole, "papre")
    assert "paper" in error.value.hint


def test_latex_has_every_table_with_the_numbers_of_the_page(whole):
    text = document_latex(whole)
    tables = [b for s in whole.sections for b in s.all_blocks if isinstance(b, Table)]
    tables += [b.table for s in whole.sections for b in s.all_blocks if isinstance(b, Figure)]
    assert text.count(r"\begin{tabular}") >= len(tables) > 10
    for table in tables:
        for row in table.rows:
            assert " & ".join(map(latex_text, row)) + r" \\" in text
    labels = re.findall(r"\\label\{([^}]*)\}", text)
    assert len(labels) == len(set(labels))
    rest = re.sub(r"\\[a-zA-Z]+(\{\})?|\\[%&_#${}\\]", "", text)
    assert "%" not in re.sub(r"^%.*$", "", rest, flags=re.MULTILINE)  # a bare % would hide the rest of its line


def test_the_text_to_paste_holds_the_findings_of_the_page_and_what_to_cite(builders, study):
    full = builders.with_everything(study)
    texts = [b.text for b in paragraph(full, prepare(full)).blocks if isinstance(b, Note)]
    assert texts[0].startswith("Methods. 80 runs: ")
    assert all(outcome.sentence in texts[1] for outcome in full.family.primary)
    assert "arXiv 2604.16410" in texts[2]
    said = " ".join(answer.method for answers in full.answers.values() for answer in answers).lower()
    assert any(text.startswith("Holm") for text in texts) == ("holm" in said)
    (nothing,) = paragraph(replace(full, answers={}), prepare(full)).blocks
    assert nothing.tone == "missing"
