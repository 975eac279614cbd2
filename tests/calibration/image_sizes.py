"""How often the tests of `stats images` reject a true null at 5 %: ``python tests/calibration/image_sizes.py``.

Two nulls. *These images*: on the images of the study methods do not differ and adaptation changes nothing but by
exchangeable flips, and only seeds are drawn anew; the seed-level test asks about it. *Others, too*: single images react
to a method (`image_sd`, log-odds), which averages out over images of their kind, not over these; the test over seeds
and images asks about it. There the seed-level test rejects more often, and rightly: on these images something is true.
Writes docs/calibration_images.md; the p are those of the functions that the command calls.
"""

import argparse
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
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
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "calibration_images.md"
TESTS: Final = (
    *("methods over seeds", "methods over seeds and images", "methods by bootstrap of both"),
    *("base over seeds", "base over seeds and images", "any class", "any class, difference of methods"),
)


@dataclass(frozen=True)
class Condition:
    """A study in which nothing is true: seeds, whether each method has its own, sd of seed x method, image x method."""

    seeds: int
    seed_sd: float
    image_sd: float
    apart: bool = False

    @property
    def name(self) -> str:
        null = "others, too" if self.image_sd else "these images"
        own = " of each method alone" if self.apart else ""
        return f"{null}, {self.seeds} seeds{own}, seed x method SD {self.seed_sd:g}"


CONDITIONS: Final = (
    *(Condition(*levels) for levels in product((3, 5), (0.0, 0.3), (0.0, 2.0))),
    *(Condition(3, 0.3, image_sd, apart=True) for image_sd in (0.0, 2.0)),
)


def null_study(condition: Condition, rng: np.random.Generator) -> PerImage:
    """Draw a study: every run draws the hits of some images anew, all with one mean chance per image set and class."""
    label = np.arange(N_IMAGES) % len(CLASSES)
    chance = 1 / (1 + np.exp(-(0.5 + 1.5 * rng.normal(size=N_IMAGES))))
    base = rng.random(N_IMAGES) < chance
    share = np.bincount(label, weights=base) / np.bincount(label)
    logit = mean_kept(share, float(np.hypot(condition.seed_sd, condition.image_sd)))[label]
    of_images = {m: condition.image_sd * rng.normal(size=N_IMAGES) for m in METHODS}
    rows, hits = [], []
    for method, seed in product(METHODS, range(condition.seeds)):
        shift = condition.seed_sd * rng.normal()
        for lr in LRS:
            drawn = rng.random(N_IMAGES) < 1 / (1 + np.exp(-(logit + shift + of_images[method])))
            hits.append(np.where(rng.random(N_IMAGES) < FLIPPED, drawn, base))
            rows.append(("d", method, lr, seed + 100 * (condition.apart and method == METHODS[0])))
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
    found = np.array([rejected(null_study(condition, rng), rng) for _ in range(draws)])
    return dict(zip(TESTS, (100.0 * found.mean(axis=0)).tolist(), strict=True))


def rejected(data: PerImage, rng: np.random.Generator) -> list[bool]:
    """Return, test by test, whether its p is below .05 (the bootstrap: whether its interval misses 0)."""
    resamples = image_resamples(np.concatenate([data.adapted, data.bases]), DRAWS, rng)
    pair, one = method_comparison(data, "lora_r8", "full_ft", None), base_comparison(data, "full_ft", None)
    assert pair is not None
    assert one is not None
    methods, change = (tested(found, data, resamples, 0.95, rng) for found in (pair, one))
    words = Words("t", ("d",), 0.95, "retention_pct")
    classes, differences = (words.classes(class_rows(found, data, 0.95)).p for found in (one, pair))
    outside = methods.bootstrap_low > 0 or methods.bootstrap_high < 0
    p = (methods.p, methods.both_p, 0.0 if outside else 1.0, change.p, change.both_p, classes, differences)
    return [bool(value < 0.05) for value in p]


def page(draws: int, seed: int) -> str:
    """Return the whole page."""
    lines = [
        "# Calibration of stats images",
        "",
        f"Generated by `python tests/calibration/image_sizes.py --draws {draws}` (seed {seed}). Share of studies in",
        "which nothing is true and a test of `stats images` rejects at 5 %. *These images*: nothing is true on the",
        "images of the study. *Others, too*: single images react to a method (SD 2 in log-odds), which averages out",
        "over images of their kind but not over these: tests over seeds ask about these and reject more, rightly.",
        f"{N_IMAGES} images, {len(CLASSES)} classes, {len(LRS)} learning rates; standard error of a share near 5 %: "
        f"{100 * np.sqrt(0.05 * 0.95 / draws):.1f} points.",
        "",
        "| test | rejections (%) |",
        "|---|---|",
    ]
    for i, condition in enumerate(CONDITIONS):
        found = rejections(condition, draws, seed + i)
        lines += [f"| {test}, {condition.name} | {value:.1f} |" for test, value in found.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    text = page(options.draws, options.seed)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
