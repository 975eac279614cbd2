import io
import struct
import zlib

import numpy as np
import pytest
from hub_stand_ins import picture
from PIL import Image, features

from heatdrift.config import SourceSpec
from heatdrift.data.images import decode_image
from heatdrift.data.sources import fetch_source, open_source
from heatdrift.errors import DataError

SPEC = SourceSpec(source="folder:set")


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    ramp = (np.arange(256, dtype=np.uint16) * 256 + 128).reshape(16, 16)
    pixels = np.asarray(decode_image(encoded(Image.fromarray(ramp)), "here"))
    assert pixels[..., 0].ravel().tolist() == list(range(256))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_of_unknown_range_are_refused(mode):
    data = encoded(Image.new(mode, (4, 4), 7), "TIFF")
    with pytest.raises(DataError, match="here has 32-bit samples"):
        decode_image(data, "here")


def test_alpha_is_dropped_and_a_transparent_palette_keeps_its_colours():
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert decode_image(encoded(clear), "here").getpixel((0, 0)) == (10, 20, 30)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 50, 60, 70])
    assert decode_image(encoded(palette, transparency=bytes([0, 128])), "here").getpixel((0, 0)) == (50, 60, 70)


def test_a_cmyk_jpeg_keeps_its_colours():
    red = Image.new("RGB", (16, 16), (220, 20, 20)).convert("CMYK")
    assert np.allclose(decode_image(encoded(red, "JPEG"), "here").getpixel((8, 8)), (220, 20, 20), atol=12)


def png_of_sixteen_bits(pixels):
    """A 16-bit RGB PNG, which Pillow reads and cannot write: (height, width, 3) uint16."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bit_colours_are_scaled_and_not_clipped():
    ramp = (np.arange(256, dtype=np.uint16) * 256 + 128).reshape(16, 16)
    pixels = np.stack([ramp, ramp[::-1], ramp.T], axis=2)
    found = np.asarray(decode_image(png_of_sixteen_bits(pixels), "here"))
    assert np.array_equal(found, pixels >> 8)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
def test_avif_pictures_are_read_and_count_as_pictures(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a.AVIF").write_bytes(picture((200, 30, 30), size=(16, 16), kind="AVIF"))
    images = open_source(SPEC, tmp_path)
    assert len(images) == 2
    assert np.allclose(images.read(0).getpixel((8, 8)), (200, 30, 30), atol=6)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data, "here").getpixel((0, 0)) == (250, 0, 0)


def test_a_truncated_jpeg_and_zero_bytes_are_refused_with_what_to_do():
    whole = picture(size=(64, 64), kind="JPEG")
    for data in (whole[: len(whole) // 2], b""):
        with pytest.raises(DataError, match=rf"here does not decode as an image \({len(data)} bytes\)") as caught:
            decode_image(data, "here")
        assert "--skip-unreadable" in caught.value.hint


@pytest.fixture
def spoilt(tmp_path):
    """Two classes of three pictures; the second cat is empty, the last dog is cut."""
    for name in ("cats", "dogs"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "set" / name / f"{i}.png").write_bytes(picture((i, 0, 0)))
    (tmp_path / "set" / "cats" / "1.png").write_bytes(b"")
    (tmp_path / "set" / "dogs" / "2.png").write_bytes(picture()[:40])
    return tmp_path


def test_an_unreadable_picture_is_named_when_it_is_read(spoilt):
    images = open_source(SPEC, spoilt)
    assert len(images) == 6
    with pytest.raises(DataError, match=r"cats/1\.png does not decode"):
        images.read(1)


@pytest.mark.parametrize("fetched", [False, True])
def test_skipping_leaves_unreadable_pictures_out_before_splitting(spoilt, fetched):
    if fetched:
        assert fetch_source(SPEC, spoilt, lambda *_: None).unreadable == ("cats/1.png", "dogs/2.png")
    else:
        assert open_source(SPEC, spoilt).sha256 != open_source(SPEC, spoilt, skip_unreadable=True).sha256
    images = open_source(SPEC, spoilt, skip_unreadable=True)
    assert images.skipped == ("cats/1.png", "dogs/2.png")
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert [images.name(i) for i in range(4)] == ["cats/0.png", "cats/2.png", "dogs/0.png", "dogs/1.png"]
    assert [images.read(i).getpixel((0, 0))[0] for i in range(4)] == [0, 2, 0, 1]
    again = open_source(SPEC, spoilt, skip_unreadable=True)
    assert again.sha256 == images.sha256


def test_what_the_manifest_knows_to_be_unreadable_is_refused_at_once(spoilt):
    fetch_source(SPEC, spoilt, lambda *_: None)
    with pytest.raises(DataError, match=r"2 pictures do not decode: cats/1\.png, dogs/2\.png") as caught:
        open_source(SPEC, spoilt)
    assert "--skip-unreadable" in caught.value.hint


def test_nothing_to_skip_changes_nothing(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a.png").write_bytes(picture())
    plain, skipping = open_source(SPEC, tmp_path), open_source(SPEC, tmp_path, skip_unreadable=True)
    assert (plain.sha256, plain.skipped) == (skipping.sha256, skipping.skipped) == (plain.sha256, ())


def test_a_class_may_not_vanish_by_skipping(spoilt):
    for i in range(3):
        (spoilt / "set" / "cats" / f"{i}.png").write_bytes(b"?")
    with pytest.raises(DataError, match="class 0 has no image"):
        open_source(SPEC, spoilt, skip_unreadable=True)
