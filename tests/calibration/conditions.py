"""The simulated studies of the calibration: 4 learning rates x 2 methods x 2 data sets, no fixed effect at all.

Every test is asked about a true null, so its rejections at 5 % are errors. The seed SD is .2, the residual SD .157
(after real runs); a spread of variances keeps .157 as the largest residual SD and goes down to a tenth of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.stats.design import categorical, full_factorial
from heatdrift.stats.deviance import Grouping

Floats = npt.NDArray[np.float64]
LRS = (1e-6, 5e-6, 1e-5, 5e-5)
DESIGN = full_factorial(
    [categorical("lr", LRS), categorical("method", ["full_ft", "lora_r8"]), categorical("dataset", ["a", "b"])]
)
LR, METHOD, DATASET = (DESIGN.level_codes(name) for name in ("lr", "method", "dataset"))
N_CELLS = DESIGN.grid.shape[0]
RESIDUAL_SD = 0.157
MISSING = 0.15
PATTERNS = 100  # different sets of missing runs per condition


@dataclass(frozen=True)
class Condition:
    """What is simulated: seeds, seed x method SD, whether 15 % are missing, how residual variances spread."""

    seeds: int
    method_sd: float = 0.0
    missing: bool = False
    spread: str = "none"  # none | lr (100-fold, growing with lr) | cells (100-fold, at random over cells)
    seed_sd: float = 0.2

    def residual_sd(self, lr: npt.NDArray[np.intp]) -> Floats:
        """Residual SD of cells at learning rates `lr` (0-based), where it is one number per learning rate."""
        return RESIDUAL_SD * (10.0 ** np.linspace(-1.0, 0.0, len(LRS))[lr] if self.spread == "lr" else np.ones(lr.size))

    @property
    def label(self) -> str:
        data = "15 % missing" if self.missing else "balanced"
        spread = {"none": "", "lr": ", variances 100-fold over lr", "cells": ", variances 100-fold over cells"}
        sd = f"seed x method SD {self.method_sd:g}" + (", seed SD 0" if self.seed_sd == 0 else "")
        return f"{self.seeds} seeds, {data}, {sd}{spread[self.spread]}"


CONDITIONS = [
    Condition(seeds=s, method_sd=sd, missing=m) for s in (3, 5) for m in (False, True) for sd in (0.0, 0.05, 0.1)
]
SPREAD = [
    Condition(seeds=s, method_sd=0.05, missing=m, spread=k)
    for k in ("lr", "cells")
    for s in (3, 5)
    for m in (False, True)
]
NO_SEED = [Condition(seeds=s, missing=m, seed_sd=0.0) for s in (3, 5) for m in (False, True)]


def patterns(condition: Condition, draws: int, rng: np.random.Generator) -> Iterator[tuple[InteractionModel, Floats]]:
    """Yield a model (with a response of zeros) and its responses (B, n), `draws` in all."""
    cells = np.repeat(np.arange(N_CELLS), condition.seeds)
    seeds = np.tile(np.arange(condition.seeds), N_CELLS)
    count = PATTERNS if condition.missing else 1
    for _ in range(count):
        kept = kept_runs(cells, seeds, condition, rng)
        c, s = cells[kept], seeds[kept]
        yield _model(c, s, condition.seeds), _responses(condition, c, s, draws // count, rng)


def kept_runs(
    cells: npt.NDArray[np.intp], seeds: npt.NDArray[np.intp], condition: Condition, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Indices of the runs at hand; every cell keeps one, as the largest complete block demands."""
    n_cells = int(cells.max()) + 1
    if not condition.missing:
        return np.arange(cells.size)
    while True:
        kept = np.sort(rng.permutation(cells.size)[round(MISSING * cells.size) :])
        if np.unique(cells[kept]).size == n_cells and np.unique(seeds[kept]).size == condition.seeds:
            return kept


def _responses(
    condition: Condition, cells: npt.NDArray[np.intp], seeds: npt.NDArray[np.intp], draws: int, rng: np.random.Generator
) -> Floats:
    sd = np.tile(condition.residual_sd(LR), (draws, 1))
    if condition.spread == "cells":
        sd *= rng.permuted(np.tile(10.0 ** np.linspace(-1.0, 0.0, N_CELLS), (draws, 1)), axis=1)
    by_seed = condition.seed_sd * rng.normal(size=(draws, condition.seeds))
    by_method = condition.method_sd * rng.normal(size=(draws, condition.seeds, 2))
    noise = sd[:, cells] * rng.normal(size=(draws, cells.size))
    return np.asarray(by_seed[:, seeds] + by_method[:, seeds, METHOD[cells]] + noise)


def _model(cells: npt.NDArray[np.intp], seeds: npt.NDArray[np.intp], n_seeds: int) -> InteractionModel:
    return InteractionModel(
        y=np.zeros(cells.size),
        design=DESIGN,
        cells=cells,
        seeds=seeds,
        seed_names=tuple(range(n_seeds)),
        lrs=LRS,
        random="seed",
        groupings=(Grouping("seed", seeds),),
    )


def with_random(model: InteractionModel, random: str) -> InteractionModel:
    """The same runs under another random part: 'seed + seed:method', 'seed + seed:dataset' or 'dataset:seed'."""
    codes = {
        "seed": model.seeds,
        "seed:method": 2 * model.seeds + METHOD[model.cells],
        "seed:dataset": 2 * model.seeds + DATASET[model.cells],
        "dataset:seed": 2 * model.seeds + DATASET[model.cells],
    }
    groupings = tuple(
        Grouping(name, np.unique(codes[name], return_inverse=True)[1].ravel()) for name in random.split(" + ")
    )
    return replace(model, groupings=groupings, random=random)


def with_slopes(model: InteractionModel) -> InteractionModel:
    """The same runs under `seed + seed:method`."""
    return with_random(model, "seed + seed:method")
