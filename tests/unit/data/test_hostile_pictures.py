"""Pictures that are programs or bombs are refused before anything of them is run or unpacked."""

import io
import subprocess

import pytest
from PIL import Image

from heatdrift.data import images
from heatdrift.data.images import FORMATS, decode_image
from heatdrift.errors import DataError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{ } loop\n%%EOF\n"


def encoded(kind, size=(8, 6)):
    stream = io.BytesIO()
    Image.new("RGB", size, (10, 120, 200)).save(stream, format=kind)
    return stream.getvalue()


def test_eps_starts_no_program(monkeypatch):
    def started(*_args, **_kwargs):
        pytest.fail("a program was started for a picture")

    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(DataError, match="row 3 does not decode"):
        decode_image(EPS, "row 3")


@pytest.mark.parametrize("kind", ["PDF", "EPS", "ICO", "SGI", "PCX", "DDS"])
def test_other_formats_of_pillow_are_refused(kind):
    with pytest.raises(DataError, match="does not decode"):
        decode_image(encoded(kind), "row 3")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_the_raster_formats_that_data_sets_have_are_read(kind):
    assert kind in FORMATS
    assert decode_image(encoded(kind), "row 3").size == (8, 6)


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    with pytest.raises(DataError, match="12 x 10 pixels"):
        decode_image(encoded("PNG", (12, 10)), "row 3")
