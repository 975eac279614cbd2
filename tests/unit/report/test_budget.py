"""A page stays within its limit: what is left out, in which order, and that the page says so."""

import re
from dataclasses import replace

import polars as pl
import pytest

from heatdrift.report import budget
from heatdrift.report.blocks import Figure, Finding, Matrix
from heatdrift.report.budget import MOST_SENTENCES, SHORT_TABLE, STEPS, page_html, trimmed
from heatdrift.report.document import document_html
from heatdrift.report.formats.markdown import document_markdown
from heatdrift.report.tables import MAX_ROWS, text_table


@pytest.fixture(scope="module")
def size(document):
    return len(document_html(document).encode())


def long_document(document, n):
    """The document with findings and sentences of `n` tests."""
    texts = tuple(f"Sentence {i} of many." for i in range(n))
    found = Finding(title="Trends", sentences=texts, section_id="dose", command="heatdrift stats dose")
    first, *others = document.sections
    return replace(document, sections=(replace(first, blocks=(*first.blocks, found)), *others))


def of(document, kind):
    return [b for s in document.sections for b in s.blocks if isinstance(b, kind)]


def test_a_usual_page_loses_nothing(document):
    assert trimmed(document).sections == document.sections
    text, left_out = page_html(document)
    assert left_out == ()
    assert text == document_html(document)
    assert "Shortened" not in text


def test_long_lists_of_sentences_end_in_a_count_and_a_command(document):
    short = trimmed(long_document(document, 200))
    found = next(b for b in of(short, Finding) if b.title == "Trends")
    assert len(found.sentences) == MOST_SENTENCES
    assert found.more == f"{200 - MOST_SENTENCES} further sentences are printed by heatdrift stats dose."
    assert found.more in document_html(short)
    assert found.more in document_markdown(short)


def test_sentences_cut_twice_are_counted_once(document):
    text, _ = page_html(trimmed(long_document(document, 200)), limit=10_000)
    assert "188 further sentences are printed by heatdrift stats dose." in text


@pytest.mark.parametrize("spare", [0.995, 0.95])
def test_a_page_above_the_limit_is_shortened_in_the_order_of_the_steps_and_says_so(document, size, spare):
    whole = long_document(document, 60)
    limit = int(len(document_html(whole).encode()) * spare)
    text, left_out = page_html(whole, limit=limit)
    assert len(text.encode()) <= limit
    order = [words for words, _ in STEPS]
    assert list(left_out) == [words for words in order if words in left_out]
    note = re.search(r"Shortened: the whole page would have [^<]+", text)[0]
    assert all(words in note for words in left_out)
    assert page_html(whole, limit=limit) == (text, left_out)


def test_a_page_that_cannot_be_short_enough_is_written_with_a_warning(document):
    text, left_out = page_html(document, limit=10_000)
    assert left_out[-1].startswith("and it still has ")
    assert "Shortened" in text
    assert text.count("</section>") == len(document.sections)


def test_without_static_drawings_every_chart_keeps_its_spec_and_its_table(document):
    words, step = STEPS[-1]
    short = budget._each(document, step)
    for before, after in zip(of(document, Figure), of(short, Figure), strict=True):
        assert after.table == before.table
        assert [panel.spec for panel in after.panels] == [panel.spec for panel in before.panels]
        assert not any("<svg" in panel.svg for panel in after.panels)
    assert "JavaScript" in words


def test_a_long_table_keeps_the_smallest_p_and_names_the_command():
    rows = [(f"row {i}",) for i in range(MAX_ROWS + 50)]
    p = [1.0 - i / 1000 for i in range(len(rows))]
    p[3] = float("nan")
    table = text_table("Tests", ["test"], rows, command="heatdrift stats dose", p=p)
    assert table.rows[0] == (f"row {len(rows) - 1}",)
    assert ("row 3",) not in table.rows
    assert table.shown == " (100 of 150 rows, smallest p first; 50 more are printed by `heatdrift stats dose`)"
    assert text_table("Tests", ["test"], rows[:5], p=p[:5]).rows == tuple(rows[:5])
    assert text_table("Tests", ["test"], rows).shown == " (first 100 rows; 50 more are in the store)"


def test_rows_of_the_store_are_not_changed_by_shortening(document):
    before = {name: frame.clone() for name, frame in document.datasets.items()}
    page_html(document, limit=10_000)
    assert all(isinstance(f, pl.DataFrame) and f.equals(before[n]) for n, f in document.datasets.items())


def test_the_matrix_of_a_large_grid_is_cut_with_the_tables_and_says_so(document):
    (matrix,) = of(document, Matrix)
    large = replace(matrix, rows=matrix.rows * 40)
    sections = tuple(
        replace(s, blocks=tuple(large if isinstance(b, Matrix) else b for b in s.blocks)) for s in document.sections
    )
    words, step = STEPS[0]
    (short,) = of(budget._each(replace(document, sections=sections), step), Matrix)
    assert len(short.rows) == SHORT_TABLE
    assert short.caption == f"{matrix.caption} Shown: the first {SHORT_TABLE} groups."
    assert f"{SHORT_TABLE} rows" in words
