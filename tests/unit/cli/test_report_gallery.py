import hashlib

import numpy as np
import pytest
from PIL import Image

from heatdrift.cli.report_gallery import _crop, _png, _sha256
from heatdrift.data.images import LabelledImages
from heatdrift.data.transforms import crops
from heatdrift.records import Preprocess


@pytest.mark.parametrize("size", [(64, 64), (75, 50), (51, 98), (32, 32), (33, 40)])
def test_the_crop_without_torch_is_the_one_that_was_measured(size):
    pixels = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    preprocess = Preprocess(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    images = LabelledImages(
        source="test", sha256="0", labels=np.zeros(1, dtype=np.int64), class_names=("a",), read=lambda _: picture
    )
    measured = crops(images, np.array([0]), preprocess)[0]
    assert _sha256(_crop(picture, preprocess)) == hashlib.sha256(measured.tobytes()).hexdigest()


def test_a_thumbnail_is_a_small_png():
    png = _png(Image.new("RGB", (224, 224), "red"))
    assert png.startswith(b"\x89PNG")
    assert len(png) < 1000
