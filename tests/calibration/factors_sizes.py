"""How often `stats factors` rejects true nulls with its default formula:
``OMP_NUM_THREADS=1 python tests/calibration/factors_sizes.py``. Writes docs/calibration_factors.md, in half a minute.

Every factor and seed is drawn without any effect. A table is a grid of methods, rates and levels of one own factor
(`rank`) over seeds, so that seeds are crossed with all of them. The p values are those of the command
(test_factors_calibration.py); its designs are fitted once and reused over the responses of a pattern.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.questions.model.default import default_model
from heatdrift.questions.model.fitted import TableModel, build
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.distributions import f_p_value
from heatdrift.stats.multiplicity import holm

Floats = npt.NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "calibration_factors.md"
ALPHA = 0.05
METHODS, LRS, RANKS = ("full_ft", "lora_r8"), (1e-5, 1e-4), ("4", "8", "16")
PATTERNS = 10  # of lost runs


@dataclass(frozen=True)
class Condition:
    """One kind of table; standard deviations in units of the residual's.

    seeds : of every combination. lost : share of runs that are missing. seed_sd : SD of what a seed adds to all of its
    runs. own : SD of what each rank does with each seed by itself, on average nothing.
    """

    name: str
    seeds: int
    lost: float = 0.0
    seed_sd: float = 0.7
    own: float = 0.0


CONDITIONS = (
    Condition("4 seeds, balanced", 4),
    Condition("4 seeds, 20 % lost", 4, lost=0.2),
    Condition("4 seeds, balanced, alike", 4, seed_sd=0.0),
    Condition("8 seeds, 20 % lost", 8, lost=0.2),
    Condition("4 seeds, balanced, rank acts by seed", 4, own=0.7),
)
TESTS = (
    ("Kenward-Roger", "method"),
    ("Kenward-Roger", "rank"),
    ("over seeds", "method"),
    ("over seeds", "rank"),
    ("both agree", "method"),
    ("both agree", "rank"),
    ("a finding, Holm over the terms", "any term"),
)


def runs_of(condition: Condition, rng: np.random.Generator) -> pl.DataFrame:
    """Draw one pattern of finished runs as the view `runs` has them; every combination keeps a run of some seed."""
    full = list(product(METHODS, LRS, RANKS, range(1, condition.seeds + 1)))
    while True:
        kept = [row for row in full if rng.random() >= condition.lost]
        whole = len({row[:3] for row in kept}) == len({row[:3] for row in full})
        if whole and len({(row[2], row[3]) for row in kept}) == len(RANKS) * condition.seeds:
            break
    return pl.DataFrame(
        {
            "study": "s",
            "status": "done",
            "backbone": "b",
            "dataset": "d",
            "method": [row[0] for row in kept],
            "lr": [row[1] for row in kept],
            "seed": [row[3] for row in kept],
            "factors": [json.dumps({"rank": row[2]}) for row in kept],
            "test_acc_pct": np.arange(float(len(kept))),
        }
    )


def draw(condition: Condition, runs: pl.DataFrame, n: int, rng: np.random.Generator) -> Floats:
    """Draw `n` responses of a table, (n, runs)."""
    y = rng.normal(size=(n, runs.height))
    for names, size in ((["seed"], condition.seed_sd), (["seed", "factors"], condition.own)):
        code = runs.select(pl.struct(names).rank("dense").alias("code"))["code"].to_numpy() - 1
        y += size * rng.normal(size=(n, int(code.max()) + 1))[:, code]
    return np.asarray(y)


def models(condition: Condition, draws: int, seed: int) -> Iterator[tuple[TableModel, pl.DataFrame, Floats]]:
    """Yield the model of each pattern with its runs and their responses, (draws, runs)."""
    rng = np.random.default_rng([seed, *condition.name.encode()])
    patterns = PATTERNS if condition.lost else 1
    for _ in range(patterns):
        runs = runs_of(condition, rng)
        model = default_model(runs)
        yield build(model.frame, model.formula), runs, draw(condition, runs, draws // patterns, rng)


def p_values(model: TableModel, responses: Floats) -> Floats:
    """p of TESTS of each response, (draws, len(TESTS))."""
    terms = {name.removeprefix("C(").removesuffix(")"): rows for name, rows in model.design.hypotheses.items()}
    within = WithinClusters(model.design.x, model.groupings[0].codes)
    contrasts = {name: cluster_contrast(within, rows) for name, rows in terms.items()}
    found = []
    for y in responses:
        inference = replace(model, design=replace(model.design, y=y)).kenward_roger
        kr = {name: f_p_value(*inference.term(rows)) for name, rows in terms.items()}
        seeds = {name: contrast.f_test(y).p for name, contrast in contrasts.items()}
        both = {name: max(kr[name], seeds[name]) for name in terms}
        claimed = float(np.min(holm(list(both.values()))))
        found.append([one[t] for one in (kr, seeds, both) for t in ("method", "rank")] + [claimed])
    return np.array(found)


def sizes(condition: Condition, draws: int, seed: int) -> Floats:
    """Percent of true nulls that each of TESTS rejects."""
    p = np.vstack([p_values(model, responses) for model, _, responses in models(condition, draws, seed)])
    return np.asarray(100.0 * np.mean(p < ALPHA, axis=0))


def page(draws: int, seed: int) -> str:
    """The whole page."""
    found = []
    for condition in CONDITIONS:
        began = time.process_time()
        found.append(sizes(condition, draws, seed))
        sys.stderr.write(f"{condition.name}: {time.process_time() - began:.0f} s\n")
    heads = " | ".join(condition.name for condition in CONDITIONS)
    rows = [
        f"| {name} | {of} | " + " | ".join(f"{values[i]:.1f}" for values in found) + " |"
        for i, (name, of) in enumerate(TESTS)
    ]
    return "\n".join(
        [
            "# Calibration of stats factors",
            "",
            f"Generated by `OMP_NUM_THREADS=1 python tests/calibration/factors_sizes.py --draws {draws}` (seed {seed});"
            " do not edit.",
            f"Tables of {len(METHODS)} methods, {len(LRS)} learning rates and {len(RANKS)} levels of an own factor "
            "(`rank`), a run of each with every seed,",
            "in which nothing has an effect; the formula is the default, `test_acc_pct ~ method + C(lr) + C(rank) + "
            "(1 | seed)`.",
            "Seed SD .7 of the residual's; *alike*: 0. *Lost*: runs lost at random. *Rank acts by seed*: each rank has "
            "an effect with each",
            "seed by itself (SD .7), on average none, which the model leaves out.",
            "",
            "## Rejections of a true null at 5 %",
            "",
            f"Percent of {draws} tables; standard error near 5 %: {100 * np.sqrt(0.05 * 0.95 / draws):.1f}.",
            "",
            f"| test | of | {heads} |",
            "|---" * (len(CONDITIONS) + 2) + "|",
            *rows,
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    PAGE.write_text(page(options.draws, options.seed) + "\n", encoding="utf-8")
