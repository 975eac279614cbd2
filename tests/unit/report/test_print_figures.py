"""Figures for print: exact width, text as text, type that can be read."""

import re

import pytest

from heatdrift.report.formats.vector import COLUMN_MM, figure_svg, write_figures


@pytest.mark.parametrize("width", [*COLUMN_MM.values(), 120.0])
def test_a_drawing_has_exactly_the_width_of_the_column(document, width):
    for figure in document.figures:
        svg = figure_svg(figure, document.datasets, width)
        found = re.match(r'<svg [^>]*width="([\d.]+)mm" height="([\d.]+)mm" viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
        assert found is not None
        assert float(found[1]) == pytest.approx(width)
        scale = width * 96 / 25.4 / float(found[3])
        assert 0.75 < scale < 1.35  # type keeps its size, about


def test_text_stays_text_and_nothing_is_loaded(document):
    svg = figure_svg(document.figures[0], document.datasets, 174.0)
    assert ">peak learning rate (log scale)<" in svg
    assert "var(--" not in svg
    assert "<image" not in svg
    assert "font-family" in svg


def test_a_pdf_has_the_width_in_points_and_fonts(document, tmp_path):
    written = write_figures(document, tmp_path, ("svg", "pdf"), 85.0)
    assert list(written) == [figure.figure_id for figure in document.figures]
    for svg, pdf in written.values():
        assert svg.stat().st_size > 0
        data = pdf.read_bytes()
        box = re.search(rb"MediaBox *\[ *0 0 ([\d.]+)", data)
        assert box is not None
        assert float(box[1]) == pytest.approx(85 / 25.4 * 72, abs=0.1)
        assert b"/Font" in data
