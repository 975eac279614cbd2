"""Corruptions of crops after Hendrycks & Dietterich, ICLR 2019.

"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", arXiv 1903.12261; code:
hendrycks/robustness, ``ImageNet-C/create_c``.

Strengths are those of the code that made their sets: of CIFAR-10-C (pictures of 32 pixels) for crops below 112 pixels,
of ImageNet-C (224 pixels) for larger ones; each set is applied to pictures as the model gets them, as theirs is. What
is drawn depends on the picture and the corruption alone, so that a picture is corrupted the same in every run, order,
process and on every device. Two things are ours: their generator was not seeded, and they cut values to whole numbers
where we round, because a last bit would decide a level otherwise.
"""

import hashlib
import io
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from heatdrift.corruption_plan import RECIPE, SEVERITIES

Crop: TypeAlias = NDArray[np.uint8]
Draw: TypeAlias = Callable[[tuple[int, ...]], NDArray[np.float64]]
_LARGE: Final = 112  # pixels of a side from which the strengths of ImageNet-C hold
_SMALL_STRENGTH: Final[dict[str, tuple[float, ...]]] = {  # of CIFAR-10-C, severity 1 to 5
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # standard deviation, of values from 0 to 1
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),  # part of the values that become 0 or 1
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1.0),  # standard deviation in pixels
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),  # factor of the distance to the channel's mean
    "jpeg_compression": (80, 65, 58, 50, 40),  # quality
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),  # side of the smaller picture, as part of the side
}
_LARGE_STRENGTH: Final[dict[str, tuple[float, ...]]] = {  # of ImageNet-C
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "gaussian_blur": (1, 2, 3, 4, 6),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "jpeg_compression": (25, 18, 15, 10, 7),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
}


def corrupted(crop: Crop, kind: str, severity: int) -> Crop:
    """Return the crop under a corruption.

    Parameters
    ----------
    crop : (3, size, size) uint8, RGB.
    kind : one of ``corruption_plan.CORRUPTIONS``.
    severity : 1 (mildest) to 5.

    Returns
    -------
    (3, size, size) uint8, the same for the same crop.
    """
    assert severity in SEVERITIES
    c = strength(kind, severity, crop.shape[-1])
    if kind in _ON_PICTURES:
        picture = Image.fromarray(np.ascontiguousarray(crop.transpose(1, 2, 0)))
        changed: Crop = np.asarray(_ON_PICTURES[kind](picture, c))
        return np.ascontiguousarray(changed.transpose(2, 0, 1))
    values = _ON_VALUES[kind](crop / 255, c, _draws(crop, kind, severity))
    rounded: Crop = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return rounded


def strength(kind: str, severity: int, size: int) -> float:
    """Parameter of a corruption for crops of `size` pixels; what it is, the tables above say."""
    return (_LARGE_STRENGTH if size >= _LARGE else _SMALL_STRENGTH)[kind][severity - 1]


def _draws(crop: Crop, kind: str, severity: int) -> Draw:
    """Uniform numbers in [0, 1) from a stream of this picture and corruption.

    ``Generator.random`` over PCG64 is the one stream that NumPy has never changed.
    """
    digest = hashlib.sha256(f"{RECIPE} {kind} {severity}\n".encode() + np.ascontiguousarray(crop).tobytes()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
    return generator.random


def _gaussian_noise(x: NDArray[np.float64], c: float, draw: Draw) -> NDArray[np.float64]:
    uniform = draw(x.shape)
    noise: NDArray[np.float64] = ndtri(np.maximum(uniform, np.finfo(np.float64).tiny))
    return x + c * noise


def _impulse_noise(x: NDArray[np.float64], c: float, draw: Draw) -> NDArray[np.float64]:
    hit, salt = (
        draw(x.shape) < c,
        draw(x.shape) < 0.5,
    )  # every value of every channel for itself, salt as often as pepper
    return np.where(hit, salt.astype(np.float64), x)


def _gaussian_blur(x: NDArray[np.float64], c: float, _draw: Draw) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(x, sigma=(0, c, c), mode="nearest", truncate=4.0)
    return blurred


def _contrast(x: NDArray[np.float64], c: float, _draw: Draw) -> NDArray[np.float64]:
    means = x.mean(axis=(1, 2), keepdims=True)
    contrasted: NDArray[np.float64] = (x - means) * c + means
    return contrasted


def _jpeg_compression(picture: Image.Image, c: float) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(c))
    with Image.open(buffer) as opened:
        return opened.convert("RGB")


def _pixelate(picture: Image.Image, c: float) -> Image.Image:
    small = max(1, int(picture.width * c))
    return picture.resize((small, small), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BOX)


_ON_VALUES: Final = {
    "gaussian_noise": _gaussian_noise,
    "impulse_noise": _impulse_noise,
    "gaussian_blur": _gaussian_blur,
    "contrast": _contrast,
}
_ON_PICTURES: Final = {"jpeg_compression": _jpeg_compression, "pixelate": _pixelate}
