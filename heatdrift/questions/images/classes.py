"""Which classes were forgotten, and what they were taken for.

Seeds are the unit and the images of the class are crossed with them: a class of a hundred images changes by chance
alone, so a test on seeds and the same images would call noise of images a forgotten class.
"""

from collections.abc import Iterator, Mapping
from math import nan
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from heatdrift.questions.images.comparisons import Comparison
from heatdrift.questions.images.per_image import PerImage
from heatdrift.questions.images.result import ClassRow, ConfusionRow
from heatdrift.questions.images.seed_images import seed_weights
from heatdrift.questions.selection import codes
from heatdrift.stats.crossed_means import crossed_error, crossed_parts
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.intervals import t_interval
from heatdrift.stats.multiplicity import benjamini_hochberg

Floats = npt.NDArray[np.float64]

TOP: Final = 10  # confusions listed per method


def title(found: Comparison) -> str:
    """Return what a class row is of: `lora_r8` (minus base), or `lora_r8 - full_ft`."""
    return found.method_a if found.against_base else f"{found.method_a} - {found.method_b}"


def class_rows(found: Comparison, data: PerImage, level: float) -> list[ClassRow]:
    """Return the change of every class that has images; empty where no labels were kept, or with one seed.

    Two samples of seeds have their images in common and their seeds apart; their variances add up.
    """
    if data.label is None or any(len(table) < 2 for table in found.seed_images):
        return []
    parts = [crossed_parts(table, data.label) for table in found.seed_images]
    if len(parts) == 1:
        (own,) = parts
        change, seed, seed_df, image = own.mean, own.seed, np.full_like(own.seed, own.n_seeds - 1), own.image
    else:
        a, b = parts
        change, seed = a.mean - b.mean, a.seed + b.seed
        with np.errstate(invalid="ignore", divide="ignore"):
            seed_df = seed**2 / (a.seed**2 / (a.n_seeds - 1) + b.seed**2 / (b.n_seeds - 1))
        means = found.seed_images[0].mean(axis=0, dtype=float) - found.seed_images[1].mean(axis=0, dtype=float)
        image = crossed_parts(np.stack([means, means]), data.label).image  # of one row twice: that of its images
    rest, rest_df = sum(p.rest for p in parts), sum(p.rest_df for p in parts)
    n = parts[0].n_images
    se, df = crossed_error(seed, np.maximum(seed_df, 1.0), image, np.asarray(rest), np.asarray(rest_df), n)
    base = np.bincount(data.label, weights=data.bases.mean(axis=0, dtype=float), minlength=n.size) / np.maximum(n, 1)
    rows = []
    for k in np.flatnonzero(n > 0):
        low, high = t_interval(float(change[k]), float(se[k]), float(df[k]), level)
        t = float(change[k] / se[k]) if se[k] > 0 else nan
        rows.append(
            ClassRow(
                of=title(found),
                name=data.class_names[k],
                n_images=int(n[k]),
                base_pct=float(100.0 * base[k]),
                change=float(change[k]),
                ci_low=low,
                ci_high=high,
                se=float(se[k]),
                df=float(df[k]),
                p=t_p_value(t, float(df[k])),
                p_bh=nan,
            )
        )
    adjusted = benjamini_hochberg([row.p for row in rows])
    return [replace(row, p_bh=float(p)) for row, p in zip(rows, adjusted, strict=True)]


def confusions(data: PerImage, methods: Mapping[str, Comparison]) -> Iterator[ConfusionRow]:
    """Yield the most gained confusions of each method over all its conditions; nothing without predicted classes."""
    if data.predicted is None or data.base_predicted is None or data.label is None:
        return
    sizes = np.bincount(data.label, minlength=len(data.class_names))
    gains = {name: _gains(data, found) for name, found in methods.items()}
    most = {name: _most(gain.mean(axis=0), sizes) for name, gain in gains.items()}
    base = np.mean([_counts(data, predicted) for predicted in data.base_predicted], axis=0)
    for name, pairs in most.items():
        others = {pair for other, found in most.items() if other != name for pair in found}
        for pair in pairs:
            true, predicted = divmod(pair, sizes.size)
            of_seeds = 100.0 * gains[name][:, pair] / sizes[true]
            yield ConfusionRow(
                method=name,
                true=data.class_names[true],
                predicted=data.class_names[predicted],
                base_pct=float(100.0 * base[pair] / sizes[true]),
                gain=float(of_seeds.mean()),
                low=float(of_seeds.min()),
                high=float(of_seeds.max()),
                shared=pair in others,
            )


def _counts(data: PerImage, predicted: npt.NDArray[np.integer[Any]]) -> Floats:
    """Images of every (true, predicted) pair of classes, in one row."""
    n = len(data.class_names)
    return np.bincount(np.asarray(data.label) * n + predicted, minlength=n * n).astype(float)


def _gains(data: PerImage, found: Comparison) -> Floats:
    """Images per run that a pair gained over base, (S, classes * classes): a row per seed, conditions as in tests."""
    assert data.predicted is not None
    assert data.base_predicted is not None
    part = data.frame[found.rows]
    weights = seed_weights(codes(part, "dataset", "lr"), codes(part, "seed"))
    gains = np.zeros((weights.shape[0], len(data.class_names) ** 2))
    of_base = [_counts(data, predicted) for predicted in data.base_predicted]
    for k, row in enumerate(found.rows):
        gain = _counts(data, data.predicted[row]) - of_base[data.base_of[row]]
        for s in np.flatnonzero(weights[:, k]):
            gains[s] += weights[s, k] * gain
    return gains


def _most(gain: Floats, sizes: npt.NDArray[np.integer[Any]]) -> list[int]:
    """Positions of the pairs of different classes that gained most, the largest first."""
    n = sizes.size
    apart = np.where(np.eye(n, dtype=bool).ravel(), -np.inf, gain)
    order = np.argsort(-apart, kind="stable")[:TOP]
    return [int(pair) for pair in order if apart[pair] > 0]
