"""How often the seed-level test of two methods rejects a true null at 5 % when they do not share all seeds:
``python tests/calibration/seed_layout_sizes.py --draws 4000``.

Three to five seeds, four learning rates, two data sets; nothing is true. The usual layout, all seeds shared, is in
docs/calibration_commands.md. Writes docs/calibration_seeds.md. `layout_p` is what the command does with a whole grid at
once; ``test_seed_layout_calibration.py`` holds the two together.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heatdrift.stats.cell_average import cell_average
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.equivalence import margin_test
from heatdrift.stats.sign_flip import sign_flip_p
from heatdrift.stats.two_samples import sample_difference

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "calibration_seeds.md"
N_LRS, N_DATASETS = 4, 2
N_CELLS = N_LRS * N_DATASETS
ALPHA = 0.05


@dataclass(frozen=True)
class Layout:
    """One kind of study in which nothing is true; standard deviations in units of the residual one.

    a, b : numbers of the seeds of each method; `own`: every run has a seed of its own; `by_data`: each data set has its
    seeds, the same for both methods. spread: residual SD of the highest learning rate relative to the lowest; wider:
    that of method b relative to a.
    """

    name: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    own: bool = False
    by_data: bool = False
    seed_sd: float = 0.5
    seed_method_sd: float = 0.0
    spread: float = 1.0
    wider: float = 1.0
    missing: float = 0.0

    @property
    def kind(self) -> str:
        """What the methods share."""
        return "own" if self.own else "data" if self.by_data else "shared" if set(self.a) & set(self.b) else "apart"


THREE, FIVE = ((0, 1, 2), (10, 11, 12)), ((0, 1, 2, 3, 4), (10, 11, 12, 13, 14))
LAYOUTS = (
    Layout("independent, 3 seeds of each method", *THREE),
    Layout("independent, 5 seeds of each method", *FIVE),
    Layout("independent, 3 seeds, seed x method SD 1", *THREE, seed_method_sd=1.0),
    Layout("independent, 5 seeds, seed x method SD 1", *FIVE, seed_method_sd=1.0),
    Layout("independent, 3 seeds, variance 100-fold over lr", *THREE, seed_method_sd=0.5, spread=10.0),
    Layout("independent, 5 seeds, variance 100-fold over lr", *FIVE, seed_method_sd=0.5, spread=10.0),
    Layout("independent, 3 seeds, one method varies 100-fold", *THREE, seed_sd=0.1, wider=10.0),
    Layout("independent, 5 seeds, one method varies 100-fold", *FIVE, seed_sd=0.1, wider=10.0),
    Layout("independent, 3 and 5 seeds, the few vary 100-fold", FIVE[0], THREE[1], seed_sd=0.1, wider=10.0),
    Layout("independent, 5 seeds, 15 % of runs missing", *FIVE, seed_method_sd=0.5, missing=0.15),
    Layout("a seed for each run, 3 in a cell", *THREE, own=True),
    Layout("a seed for each run, 5 in a cell", *FIVE, own=True),
    Layout("a seed for each run, 3 in a cell, variance 100-fold over lr", *THREE, own=True, spread=10.0),
    Layout("a seed for each run, 5 in a cell, variance 100-fold over lr", *FIVE, own=True, spread=10.0),
    Layout("a seed for each run, 3 in a cell, one method varies 100-fold", *THREE, own=True, wider=10.0),
    Layout("a seed for each run, 5 in a cell, 15 % missing", *FIVE, own=True, missing=0.15),
    Layout("mixed, 1 seed shared, 2 of each method", (0, 1, 2), (0, 11, 12), seed_method_sd=0.5),
    Layout("mixed, 1 seed shared, 1 of each method", (0, 1), (0, 11), seed_method_sd=0.5),
    Layout("mixed, 2 seeds shared, 1 of each method", (0, 1, 2), (0, 1, 12), seed_method_sd=0.5),
    Layout("mixed, 2 seeds shared, 3 of each method", (0, 1, 2, 3, 4), (0, 1, 12, 13, 14), seed_method_sd=0.5),
    Layout("mixed, 2 seeds shared, 3 of each method, seed SD 2", (0, 1, 2, 3, 4), (0, 1, 12, 13, 14), seed_sd=2.0),
    Layout("mixed, 2 seeds shared, 1 of each method, seed SD 2", (0, 1, 2), (0, 1, 12), seed_sd=2.0),
    Layout("mixed, 2 seeds shared, 3 and 1, 100-fold over lr", (0, 1, 2, 3, 4), (0, 1, 12), spread=10.0),
    Layout("pairs, 3 seeds of each data set", THREE[0], THREE[0], by_data=True, seed_method_sd=0.5),
    Layout("pairs, 3 seeds of each data set, one varies 100-fold", THREE[0], THREE[0], by_data=True, spread=10.0),
)


@dataclass(frozen=True)
class Runs:
    """Runs of a layout: (n,) method (0: a), cell and seed, and the responses (draws, n)."""

    method: Codes
    cell: Codes
    seed: Codes
    y: Floats


def runs_of(layout: Layout, draws: int, rng: np.random.Generator) -> Runs:
    """Simulate `draws` studies on one pattern of missing runs."""
    rows = [(m, c, s) for m, seeds in ((0, layout.a), (1, layout.b)) for c in range(N_CELLS) for s in seeds]
    method, cell, seed = (np.array(column, dtype=np.intp) for column in zip(*rows, strict=True))
    if layout.own:
        seed = np.arange(seed.size)
    if layout.by_data:
        seed = seed + 100 * (cell // N_LRS)
    if layout.missing:
        while True:
            kept = rng.random(seed.size) >= layout.missing
            if np.bincount(2 * cell[kept] + method[kept], minlength=2 * N_CELLS).min() > 1:
                break
        method, cell, seed = method[kept], cell[kept], seed[kept]
    spread = np.geomspace(1.0, layout.spread, N_LRS)[cell % N_LRS]
    if layout.by_data:
        spread = np.where(cell // N_LRS, layout.spread, 1.0)
    sd = spread * np.where(method == 1, layout.wider, 1.0)
    unit = np.unique(seed, return_inverse=True)[1]
    own = np.unique(2 * seed + method, return_inverse=True)[1]
    by_seed = layout.seed_sd * rng.normal(size=(draws, unit.max() + 1))[:, unit]
    by_both = layout.seed_method_sd * rng.normal(size=(draws, own.max() + 1))[:, own]
    return Runs(method, cell, seed, by_seed + by_both + sd * rng.normal(size=(draws, seed.size)))


def layout_p(runs: Runs, y: Floats) -> float:
    """p of one study (n,) as `stats paired` computes it for layouts without missing pairs."""
    found = sample_difference(y, runs.method, runs.cell, np.unique(runs.seed, return_inverse=True)[1])
    return t_p_value(found.difference / found.se, found.df)


def margin_p(runs: Runs, y: Floats, half: float) -> tuple[float, float]:
    """p of equivalence and of non-inferiority of one study against -half..half, as `--equivalence` computes them."""
    found = sample_difference(y, runs.method, runs.cell, np.unique(runs.seed, return_inverse=True)[1])
    test = margin_test(found.difference, found.se, found.df, -half, half, ALPHA)
    return test.p, test.p_low


def average_p(runs: Runs, y: Floats) -> float:
    """p of method a's mean against its true value, as `stats retention` computes it."""
    own = runs.method == 0
    found = cell_average(y[own], runs.cell[own], np.unique(runs.seed[own], return_inverse=True)[1])
    return t_p_value(found.t(0.0), found.df)


def share(layout: Layout, draws: int, seed: int, p_of: Callable[[Runs, Floats], float] = layout_p) -> float:
    """Share of studies with p below 5 %; missing runs differ between fifty patterns."""
    rng = np.random.default_rng(seed)
    patterns = 50 if layout.missing else 1
    studies = (runs_of(layout, draws // patterns, rng) for _ in range(patterns))
    return float(np.mean([p_of(runs, y) < ALPHA for runs in studies for y in runs.y]))


def at_the_end(half: float, *, equivalence: bool) -> Callable[[Runs, Floats], float]:
    """p of a study whose true difference is one end of the margin: where a statement about it is wrong, but barely."""

    def p_of(runs: Runs, y: Floats) -> float:
        shift = half if equivalence else -half
        return margin_p(runs, y + shift * (runs.method == 0), half)[0 if equivalence else 1]

    return p_of


def signs_size(seeds: int, draws: int, seed: int, *, tails: bool) -> float:
    """Rejections of sign flips over differences of seeds that are normal, or of t with 3 df."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, size=(draws, seeds)) if tails else rng.normal(size=(draws, seeds))
    return float(np.mean([sign_flip_p(row) < ALPHA for row in values]))


SHARED = {n: Layout(f"{n} shared seeds", tuple(range(n)), tuple(range(n)), seed_method_sd=0.5) for n in (3, 5)}
SHARED_SPREAD = {
    n: Layout(f"{n} shared seeds, variance 100-fold over lr", tuple(range(n)), tuple(range(n)), spread=10.0)
    for n in (3, 5)
}
MARGINS = (*SHARED.values(), *SHARED_SPREAD.values(), LAYOUTS[0], LAYOUTS[5], LAYOUTS[10])
WIDE = 4.0  # half of the margin, in residual SD: at its upper end the lower one is far
AVERAGES = (*SHARED.values(), *SHARED_SPREAD.values(), LAYOUTS[9], LAYOUTS[10], LAYOUTS[12], LAYOUTS[15])


def rows() -> dict[str, Callable[[int, int], float]]:
    """Words of each row of the page -> its share, from draws and seed."""
    found: dict[str, Callable[[int, int], float]] = {
        f"difference: {c.name}": (lambda draws, seed, c=c: share(c, draws, seed)) for c in LAYOUTS
    }
    for c in MARGINS:
        for name, equivalence in (("equivalent", True), ("not inferior", False)):
            p_of = at_the_end(WIDE, equivalence=equivalence)
            found[f"margin, {name}: {c.name}"] = lambda draws, seed, c=c, p_of=p_of: share(c, draws, seed, p_of)
    for c in AVERAGES:
        found[f"retention: {c.name}"] = lambda draws, seed, c=c: share(c, draws, seed, average_p)
    for n in (5, 6, 8):
        for words, tails in (("normal", False), ("t with 3 df", True)):
            found[f"signs: {n} seeds, {words}"] = lambda draws, seed, n=n, tails=tails: signs_size(
                n, draws, seed, tails=tails
            )
    return found


def opening(draws: int, seed: int) -> list[str]:
    """Lines above the rows of the page."""
    return [
        "# Calibration of seeds that methods do not share, of margins and of averages",
        "",
        f"Generated by `python tests/calibration/seed_layout_sizes.py --draws {draws}` (seed {seed}). Share of studies",
        "with p < .05 where nothing is true: of the difference of two methods; of being equivalent, or not inferior,",
        "where the true difference is an end of the margin; of a mean against its true value; of sign flips. Four",
        "learning rates, two data sets; standard error of a share near 5 %: "
        f"{100 * np.sqrt(0.05 * 0.95 / draws):.1f} points.",
        "",
        "| test | rejections (%) |",
        "|---|---|",
    ]


def page(draws: int, seed: int) -> str:
    """The whole page."""
    found = [f"| {words} | {100 * of(draws, seed + i):.1f} |" for i, (words, of) in enumerate(rows().items())]
    return "\n".join([*opening(draws, seed), *found]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=23)
    options = parser.parse_args()
    text = page(options.draws, options.seed)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
