import io
import json

from PIL import Image

from heatdrift.report.formats.png import figure_spec, write_pngs


def test_one_file_per_figure(tmp_path, document):
    written = write_pngs(document, tmp_path)
    assert list(written) == [figure.figure_id for figure in document.figures]
    for path in written.values():
        picture = Image.open(io.BytesIO(path.read_bytes()))
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def without_legend(part):
    """Fields of the channels that have no legend."""
    if isinstance(part, list):
        return set().union(*map(without_legend, part))
    if not isinstance(part, dict):
        return set()
    own = {part["field"]} if part.get("legend", ...) is None and "field" in part else set()
    return own.union(*map(without_legend, part.values()))


def test_the_spec_of_a_figure_stands_alone(document):
    for figure in document.figures:
        spec = figure_spec(figure, document.datasets)
        text = json.dumps(spec)
        assert "var(--" not in text
        assert without_legend(spec["concat"]) <= {"kind"}  # of marks that are all of one kind
        assert len(spec["concat"]) == len(figure.panels)
        assert set(spec["datasets"]) <= set(document.datasets)


def test_legends_name_methods_by_their_titles(document):
    drift = next(figure for figure in document.figures if figure.figure_id == "fig-drift")
    text = json.dumps(figure_spec(drift, document.datasets))
    assert "LoRA r=8" in text
    assert '"title": "method"' in text
