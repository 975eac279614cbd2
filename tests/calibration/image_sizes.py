"""Sizes of `stats images`: share of simulated studies in which nothing is true that each of its tests rejects.

    python tests/calibration/image_sizes.py [draws]        prints the table of docs/questions/images.md

Two nulls. *These images*: on the images of the study methods do not differ and adaptation changes nothing but by
exchangeable flips, and only seeds are drawn anew; the seed-level test asks about it. *Others, too*: single images react
to a method (sd `image_sd` in log-odds), which averages out over images of their kind, not over these; the test over
seeds and images asks about it. There the seed-level test rejects more often, and rightly: on these images something
is true.
"""

import sys
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import polars as pl

from heatdrift.questions.images.classes import class_rows
from heatdrift.questions.images.comparisons import base_comparison, method_comparison, tested
from heatdrift.questions.images.findings import Words
from heatdrift.questions.images.per_image import PerImage
from heatdrift.stats.pigeonhole import image_resamples

N_IMAGES: Final = 300
CLASSES: Final = tuple("abcdef")
METHODS: Final = ("full_ft", "lora_r8")
LRS: Final = (1e-4, 1e-3)
FLIPPED: Final = 0.5  # share of images whose hit is drawn anew
DRAWS: Final = 200  # of the bootstrap
TESTS: Final = (
    "methods, seeds",
    "methods, both",
    "methods, bootstrap",
    "base, seeds",
    "base, both",
    "classes",
    "class differences",
)


@dataclass(frozen=True)
class Condition:
    """A study in which nothing is true: seeds, sd of seed x method and of image x method."""

    n_seeds: int
    seed_sd: float
    image_sd: float

    @property
    def name(self) -> str:
        return f"{self.n_seeds} seeds, seed x method sd {self.seed_sd:g}, image x method sd {self.image_sd:g}"


CONDITIONS: Final = tuple(Condition(*levels) for levels in product((3, 5), (0.0, 0.3), (0.0, 2.0)))


def null_study(condition: Condition, rng: np.random.Generator) -> PerImage:
    """Draw a study: every run draws the hits of some images anew, all with one mean chance per image set and class."""
    label = np.arange(N_IMAGES) % len(CLASSES)
    chance = 1 / (1 + np.exp(-(0.5 + 1.5 * rng.normal(size=N_IMAGES))))
    base = rng.random(N_IMAGES) < chance
    share = np.bincount(label, weights=base) / np.bincount(label)
    logit = mean_kept(share, float(np.hypot(condition.seed_sd, condition.image_sd)))[label]
    of_images = {m: condition.image_sd * rng.normal(size=N_IMAGES) for m in METHODS}
    rows, hits = [], []
    for method, seed in product(METHODS, range(condition.n_seeds)):
        shift = condition.seed_sd * rng.normal()
        for lr in LRS:
            drawn = rng.random(N_IMAGES) < 1 / (1 + np.exp(-(logit + shift + of_images[method])))
            hits.append(np.where(rng.random(N_IMAGES) < FLIPPED, drawn, base))
            rows.append(("d", method, lr, seed))
    frame = pl.DataFrame(rows, schema=["dataset", "method", "lr", "seed"], orient="row")
    return PerImage(
        transfer_set="t", frame=frame, adapted=np.array(hits, dtype=np.float32), bases=base[None].astype(np.float32),
        base_of=np.zeros(len(hits), dtype=np.intp), label=label, class_names=CLASSES, predicted=None,
        base_predicted=None, left_out=(), n_dropped=0,
    )  # fmt: skip


def mean_kept(share: np.ndarray, sd: float) -> np.ndarray:
    """Log-odds around which a normal spread of `sd` leaves the mean chance at `share`, so that no class changes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    grid = np.linspace(-10, 10, 2001)
    means = (1 / (1 + np.exp(-(grid[:, None] + sd * nodes)))) @ weights / weights.sum()
    return np.interp(np.clip(share, 0.02, 0.98), means, grid)


def rejections(condition: Condition, draws: int, seed: int) -> dict[str, float]:
    """Return test -> percent of `draws` studies in which it rejects at 5 %."""
    rng = np.random.default_rng(seed)
    found = np.array([_rejected(null_study(condition, rng), rng) for _ in range(draws)])
    return dict(zip(TESTS, (100.0 * found.mean(axis=0)).tolist(), strict=True))


def _rejected(data: PerImage, rng: np.random.Generator) -> list[bool]:
    resamples = image_resamples(np.concatenate([data.adapted, data.bases]), DRAWS, rng)
    pair, one = method_comparison(data, "lora_r8", "full_ft", None), base_comparison(data, "full_ft", None)
    assert pair is not None
    assert one is not None
    methods, change = (tested(found, data, resamples, 0.95, rng) for found in (pair, one))
    words = Words("t", ("d",), 0.95)
    classes, differences = (words.classes(class_rows(found, data, 0.95)).p for found in (one, pair))
    outside = methods.bootstrap_low > 0 or methods.bootstrap_high < 0
    p = (methods.p, methods.both_p, 0.0 if outside else 1.0, change.p, change.both_p, classes, differences)
    return [bool(value < 0.05) for value in p]


def main(draws: int) -> None:
    """Print a row per condition."""
    print("| condition | " + " | ".join(TESTS) + " |")  # noqa: T201
    print("|---|" + "---|" * len(TESTS))  # noqa: T201
    for condition in CONDITIONS:
        found = rejections(condition, draws, seed=1)
        print(f"| {condition.name} | " + " | ".join(f"{found[t]:.1f}" for t in TESTS) + " |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
