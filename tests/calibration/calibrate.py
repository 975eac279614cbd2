"""Measure every printed test on true nulls and write docs/calibration.md.

Run from the top of the repository: OMP_NUM_THREADS=1 python tests/calibration/calibrate.py [--draws 10000]
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from conditions import CONDITIONS, NO_SEED, PATTERNS, SPREAD, Condition, patterns, with_random, with_slopes
from coverage import CONDITIONS as COVERED
from coverage import coverage, coverage_table
from sizes import (
    Sizes,
    design_checks,
    lack_of_fit,
    likelihood_ratio,
    model_tests,
    seed_level,
    seed_variance,
    slope_variance,
    variance_checks,
)
from thin import HIDDEN, ONE_DATA_SET, SEED_LR, THIN, thin_sizes

SEED = 20260423
PAGE = Path(__file__).resolve().parents[2] / "docs" / "calibration.md"
HEADLINE_LIMITS = {False: (3.0, 7.0), True: (2.0, 8.0)}  # percent, without and with missing runs
FLAG = 7.0
OTHER_PARTS = ("seed + seed:dataset", "dataset:seed")
Thin = dict[str, dict[Condition, dict[tuple[str, str], float]]]
Simulated = tuple[list[tuple[str, Condition]], list[dict[tuple[str, str], float]], list[dict[str, list[float]]]]


def measured(
    condition: Condition, families: Sequence[Callable[..., Sizes]], draws: int
) -> dict[tuple[str, str], float]:
    """Rejections in percent per (test, term), over the draws in which the test was defined."""
    rng = np.random.default_rng([SEED, *condition.label.encode()])
    total: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for model, y in patterns(condition, draws, rng):
        for family in families:
            for key, rejected in family(model, y).items():
                known = rejected[~np.isnan(rejected)]
                total[key][0] += float(known.sum())
                total[key][1] += known.size
    return {key: 100.0 * hits / n if n else float("nan") for key, (hits, n) in total.items()}


def main_families(condition: Condition) -> list[Callable[..., Sizes]]:
    """What is a true null in a condition of the main table."""
    nulls = ("lr", "dataset") if condition.method_sd else ("lr", "method", "dataset")
    families: list[Callable[..., Sizes]] = [
        seed_level,
        model_tests,
        likelihood_ratio,
        lambda model, y: design_checks(model, y, nulls),
        lack_of_fit,
    ]
    if condition.spread == "none":
        families.append(variance_checks)
    if condition.spread != "cells":
        families.append(lambda model, y: model_tests(with_slopes(model), y))
        if condition.method_sd == 0.05:
            families += [lambda model, y, part=part: model_tests(with_random(model, part), y) for part in OTHER_PARTS]
    return families


def table(results: dict[Condition, dict[tuple[str, str], float]], short: Callable[[Condition], str]) -> list[str]:
    """One row per test and term, one column per condition; above 7 % in bold."""
    keys = list(dict.fromkeys(key for found in results.values() for key in found))
    names = [test for test, _ in keys]
    keys.sort(key=lambda key: (key[0] != "headline", names.index(key[0])))
    lines = [
        "| test | of | " + " | ".join(short(c) for c in results) + " |",
        "|---" * (len(results) + 2) + "|",
    ]
    for key in keys:
        cells = []
        for found in results.values():
            value = found.get(key, float("nan"))
            cells.append("" if np.isnan(value) else f"**{value:.1f}**" if value > FLAG else f"{value:.1f}")
        test = key[0].replace("|", "\\|")  # a bar would end the cell
        lines.append(f"| {test} | {key[1]} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def outside(results: dict[Condition, dict[tuple[str, str], float]]) -> list[str]:
    """Headline sizes outside their band."""
    found = []
    for condition, sizes in results.items():
        low, high = HEADLINE_LIMITS[condition.missing]
        found += [
            f"{condition.label}: {term} {value:.1f} %"
            for (test, term), value in sizes.items()
            if test == "headline" and not low <= value <= high
        ]
    return found


def short(condition: Condition) -> str:
    data = "missing" if condition.missing else "bal."
    sd = "" if condition.spread != "none" or condition.seed_sd == 0 else f" SD {condition.method_sd:g}"
    spread = "" if condition.spread == "none" else f" by {condition.spread}"
    return f"{condition.seeds} {data}{sd}{spread}"


def short_thin(condition: Condition) -> str:
    spread = " 100-fold" if condition.spread == "lr" else ""
    return f"{condition.seeds} {'missing' if condition.missing else 'bal.'}{spread}"


def thin_tables(draws: int) -> Thin:
    """Both tables of ``thin.py``."""
    kinds = ((ONE_DATA_SET, THIN), (SEED_LR, HIDDEN))
    return {kind: {c: thin_sizes(kind, c, draws, SEED) for c in conditions} for kind, conditions in kinds}


def simulated(draws: int, workers: int) -> Simulated:
    """Sizes of all conditions of the four tables, and the coverage of intervals."""
    flat = [c for c in CONDITIONS if c.method_sd == 0]
    jobs = [("main", c) for c in CONDITIONS] + [("spread", c) for c in SPREAD]
    jobs += [("none", c) for c in NO_SEED] + [("slopes", c) for c in flat]
    with ProcessPoolExecutor(workers) as pool:
        done = list(pool.map(_one, *zip(*jobs, strict=True), [draws] * len(jobs)))
        covered = list(pool.map(coverage, COVERED, [SEED] * len(COVERED)))
    return jobs, done, covered


def page(draws: int, result: Simulated, thin: Thin) -> str:
    """The whole page."""
    jobs, done, covered = result
    found = {key: {c: sizes for (k, c), sizes in zip(jobs, done, strict=True) if k == key} for key, _ in jobs}
    main, spread, none, slopes = (found[key] for key in ("main", "spread", "none", "slopes"))
    error = 100.0 * float(np.sqrt(0.05 * 0.95 / draws))
    bad = [*outside(main), *outside(spread)]
    verdict = (
        "Every headline size lies within 3 to 7 % (balanced) and 2 to 8 % (15 % missing)."
        if not bad
        else "Headline sizes outside 3 to 7 % (balanced) or 2 to 8 % (missing): " + "; ".join(bad) + "."
    )
    lines = [
        "# Calibration",
        "",
        "Generated by `OMP_NUM_THREADS=1 python tests/calibration/calibrate.py"
        f" --draws {draws}`; do not edit. Rejections in percent of a true null at 5 %, {draws} draws per condition",
        f"(a size of 5 % has a standard error of {error:.2f}), seed {SEED}. 4 learning rates x 2 methods x 2 data "
        "sets, no fixed effect, seed SD .2, residual SD .157.",
        f"'missing': 15 % of the runs, {PATTERNS} random patterns, every cell keeps a run. Bold: above {FLAG:g} %.",
        "",
        verdict,
        "",
        "`headline` is the seed-level test, with Box's correction for terms of several df (`p_box`): what a finding "
        "rests on. Column heads: seeds, balanced or missing, seed x method SD.",
        "",
        "## Equal residual variances",
        "",
        *table(main, short),
        "## Residual variances spread 100-fold (seed x method SD .05)",
        "",
        "'by lr': growing with the learning rate, as in real runs; 'by cells': at random over the 16 cells.",
        "",
        *table(spread, short),
        "## Headline test on one data set alone",
        "",
        "Half as many runs to estimate variances from. Seed x method SD .05; '100-fold': residual variance growing "
        "with the learning rate.",
        "",
        *table(thin[ONE_DATA_SET], short_thin),
        "## Headline test under a seed x lr variance",
        "",
        f"Two data sets, seed x method SD .1 and a {SEED_LR}, the same at all learning rates, which hides a residual "
        "variance that grows 100-fold with them.",
        "",
        *table(thin[SEED_LR], short_thin),
        "## Tests of a variance",
        "",
        "Seed variance: simulated without any (first table). seed:method: simulated without it, seed SD .2.",
        "",
        *table(none, short),
        *table(slopes, short),
        "## Coverage of 95 % intervals",
        "",
        *coverage_table(covered),
    ]
    return "\n".join(lines)


def _one(kind: str, condition: Condition, draws: int) -> dict[tuple[str, str], float]:
    """Sizes of one condition in one of the four tables."""
    families = {"none": [seed_variance], "slopes": [slope_variance]}.get(kind) or main_families(condition)
    sizes = measured(condition, families, draws)
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {kind}: {condition.label}\n")
    return sizes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    PAGE.write_text(page(options.draws, simulated(options.draws, options.jobs), thin_tables(options.draws)))
