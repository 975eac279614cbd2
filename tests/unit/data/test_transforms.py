"""Crops against torchvision on pictures, byte for byte, with the filter of a backbone and with that of a study."""

import numpy as np
import pytest
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode, functional

from heatdrift.crop_plan import CropPlan, Preprocess
from heatdrift.data.images import LabelledImages
from heatdrift.data.transforms import crops
from heatdrift.errors import StudyError

SIZES = ((32, 32), (64, 64), (224, 224), (500, 333), (333, 500), (225, 1000), (7, 300), (448, 449))
OWN = Preprocess(size=224, mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD)


def pictures():
    """Noise over a gradient, so that every pixel depends on the filter; sizes smaller and larger than the crop."""
    generator = np.random.default_rng(5)
    for width, height in SIZES:
        ramp = np.linspace(0, 200, width)[None, :, None]
        yield Image.fromarray((ramp + generator.integers(0, 56, (height, width, 3))).astype(np.uint8))


def images():
    shown = list(pictures())
    labels = np.arange(len(shown))
    return LabelledImages(
        source="test", sha256="aa", labels=labels, class_names=tuple(map(str, labels)), read=lambda i: shown[i]
    )


def ours(preprocess):
    return crops(images(), np.arange(len(SIZES)), preprocess)


def theirs(transform):
    return np.stack([np.asarray(transform(picture)).transpose(2, 0, 1) for picture in pictures()])


def test_bilinear_crops_equal_the_published_transform_byte_for_byte():
    published = transforms.Compose([transforms.Resize(224), transforms.CenterCrop(224)])
    bilinear = OWN.changed(CropPlan(interpolation="bilinear", antialias=True, resize=224, crop=224))
    assert np.array_equal(ours(bilinear), theirs(published))
    assert not np.array_equal(ours(OWN), theirs(published))


def test_a_backbone_with_the_usual_filter_crops_bicubically_as_before():
    bicubic = [transforms.Resize(224, InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    assert np.array_equal(ours(OWN), theirs(transforms.Compose(bicubic)))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_a_shorter_side_beyond_the_crop_cuts_the_border_off(interpolation):
    wide = OWN.changed(CropPlan(interpolation=interpolation, resize=256))
    steps = [transforms.Resize(256, InterpolationMode(interpolation)), transforms.CenterCrop(224)]
    assert np.array_equal(ours(wide), theirs(transforms.Compose(steps)))
    assert (wide.shorter_side, wide.size) == (256, 224)


def test_without_antialiasing_the_filter_is_not_widened():
    """torchvision passes over `antialias=False` on pictures; what was asked for is made on tensors."""
    plain = OWN.changed(CropPlan(interpolation="bilinear", antialias=False))
    found = ours(plain)
    for row, picture in enumerate(pictures()):
        tensor = functional.pil_to_tensor(picture)
        resized = functional.resize(tensor, 224, InterpolationMode.BILINEAR, antialias=False)
        assert np.array_equal(found[row], functional.center_crop(resized, 224).numpy())
    assert not np.array_equal(found, ours(OWN.changed(CropPlan(interpolation="bilinear"))))


@pytest.mark.parametrize(
    ("plan", "said"),
    [(CropPlan(crop=336), "crop is 336, the backbone takes 224 x 224"), (CropPlan(resize=200), "resize is 200, less")],
)
def test_crops_that_the_tower_cannot_take_are_refused(plan, said):
    with pytest.raises(StudyError, match=said):
        OWN.changed(plan)


def test_only_what_differs_from_the_backbone_is_kept():
    own = {"interpolation": "bicubic", "antialias": True, "resize": 224, "crop": 224}
    assert CropPlan(interpolation="bicubic", antialias=True, resize=224, crop=224).without(own) is None
    assert CropPlan(interpolation="bilinear", antialias=True).without(own) == CropPlan(interpolation="bilinear")
    assert CropPlan(interpolation="bicubic").without({}) == CropPlan(interpolation="bicubic")
    assert OWN.changed(CropPlan(interpolation="bicubic", resize=224)) == OWN
