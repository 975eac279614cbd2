"""Corruptions of crops: what each does, in closed form where there is one; the same for the same picture."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from heatdrift.corruption_plan import CORRUPTIONS, SEVERITIES
from heatdrift.data.corruptions import corrupted, strength
from heatdrift.data.crop_cache import kept_corrupted

PINNED = {
    "gaussian_blur": "40d80f0405af",
    "gaussian_noise": "9bfe7246160c",
    "impulse_noise": "a49e1d3059db",
    "contrast": "6778345143b4",
    "pixelate": "4beedd84b02f",
}


def noise_crop(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, size, size), dtype=np.uint8)


def smooth_crop(size):
    """Ramps in two directions and a disc: something that has detail and no noise."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    disc = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1).astype(float)
    return np.stack([255 * x, 255 * y, 200 * disc]).astype(np.uint8)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("size", [28, 224])
def test_stronger_is_further_from_the_picture(kind, size):
    crop = smooth_crop(size)
    distances = []
    for severity in SEVERITIES:
        changed = corrupted(crop, kind, severity)
        assert changed.shape == crop.shape
        assert changed.dtype == np.uint8
        distances.append(float(np.mean((changed.astype(float) - crop) ** 2)))
    assert distances[0] > 0
    if (kind, size) != ("pixelate", 28):  # boxes of hardly more than a pixel: which edges they hit decides
        assert distances == sorted(distances)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_same_picture_is_corrupted_the_same_and_another_otherwise(kind):
    crop = noise_crop(32)
    first = corrupted(crop, kind, 3)
    np.testing.assert_array_equal(first, corrupted(crop.copy(), kind, 3))
    np.testing.assert_array_equal(first, corrupted(np.asfortranarray(crop), kind, 3))  # whatever its layout
    np.testing.assert_array_equal(crop, noise_crop(32))  # the picture itself is left alone
    if kind.endswith("noise"):
        grey = np.full((3, 32, 32), 128, dtype=np.uint8)
        other = grey.copy()
        other[0, 0, 0] = 129
        assert (corrupted(grey, kind, 3) != corrupted(other, kind, 3)).mean() > 0.01


def test_gaussian_noise_has_the_stated_deviation():
    grey = np.full((3, 64, 64), 128, dtype=np.uint8)
    for severity in SEVERITIES:
        changed = corrupted(grey, "gaussian_noise", severity).astype(float) / 255
        assert changed.std() == pytest.approx(strength("gaussian_noise", severity, 64), rel=0.05)
        assert changed.mean() == pytest.approx(128 / 255, abs=0.005)


def test_impulse_noise_hits_the_stated_part_with_as_much_salt_as_pepper():
    grey = np.full((3, 224, 224), 128, dtype=np.uint8)
    changed = corrupted(grey, "impulse_noise", 5)
    assert set(np.unique(changed)) == {0, 128, 255}
    assert (changed != 128).mean() == pytest.approx(0.27, abs=0.005)
    assert (changed == 255).mean() == pytest.approx(0.135, abs=0.005)


def test_contrast_moves_values_towards_the_channels_mean():
    crop = noise_crop(32)
    mean = crop.mean(axis=(1, 2), keepdims=True)
    expected = np.rint(mean + 0.4 * (crop - mean))
    np.testing.assert_array_equal(corrupted(crop, "contrast", 3), expected.astype(np.uint8))
    np.testing.assert_array_equal(corrupted(np.full_like(crop, 77), "contrast", 5), 77)  # no level is lost by rounding


def test_pixelate_averages_boxes():
    crop = noise_crop(224)
    half = corrupted(crop, "pixelate", 2)  # a side of 112: boxes of 2 x 2
    boxes = crop.reshape(3, 112, 2, 112, 2).mean(axis=(2, 4))
    assert np.abs(half[:, ::2, ::2] - boxes).max() <= 1
    np.testing.assert_array_equal(half[:, ::2, ::2], half[:, 1::2, 1::2])


def test_blur_spreads_a_point_as_a_gaussian():
    crop = np.zeros((3, 224, 224), dtype=np.uint8)
    crop[:, 112, 112] = 255
    blurred = corrupted(crop, "gaussian_blur", 1)  # one pixel
    assert blurred[0, 112, 112] == round(255 / (2 * np.pi))
    assert blurred[0, 112, 113] == round(255 / (2 * np.pi) * np.exp(-0.5))


def test_small_crops_have_the_strengths_of_cifar_c():
    assert strength("gaussian_noise", 5, 32) == 0.10
    assert strength("gaussian_noise", 5, 224) == 0.38
    assert strength("jpeg_compression", 1, 56) == 80


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_documentation_has_the_strengths(kind):
    lines = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line.split("|") for line in lines if line.startswith(f"| `{kind}` |"))
    for cell, size in zip(row[3:5], (32, 224), strict=True):
        assert [float(value) for value in cell.split(",")] == [strength(kind, s, size) for s in SEVERITIES]


def test_what_is_made_is_pinned():
    """Results under a cell's id rest on it: another outcome needs another RECIPE in corruption_plan.py."""
    crop = smooth_crop(32)
    digests = {}
    for kind in ("gaussian_blur", "gaussian_noise", "impulse_noise", "contrast", "pixelate"):
        digests[kind] = hashlib.sha256(corrupted(crop, kind, 3).tobytes()).hexdigest()[:12]
    assert digests == PINNED


def test_kept_ones_are_those_that_are_made(tmp_path):
    crops = np.stack([noise_crop(16, seed) for seed in range(5)])
    made = kept_corrupted(crops, "gaussian_noise", 2, None)
    np.testing.assert_array_equal(made[3], corrupted(crops[3], "gaussian_noise", 2))
    kept = kept_corrupted(crops, "gaussian_noise", 2, tmp_path)
    np.testing.assert_array_equal(made, kept)
    (file,) = tmp_path.glob("*.npy")
    before = file.stat().st_mtime_ns
    np.testing.assert_array_equal(kept_corrupted(crops, "gaussian_noise", 2, tmp_path), made)
    assert file.stat().st_mtime_ns == before
    kept_corrupted(crops, "gaussian_noise", 3, tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").touch()
    problems = []
    crops = noise_crop(16)[None]
    made = kept_corrupted(crops, "contrast", 1, tmp_path / "file", on_problem=problems.append)
    assert made.shape == crops.shape
    assert len(problems) == 1
