"""Sizes of the headline test where its correction for unequal variances has least to work with.

One data set alone (half as many runs to estimate variances from), and a variance of seed x lr that is equal at all
learning rates and hides a residual variance that is not.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from conditions import LR, LRS, PATTERNS, Condition, kept_runs, patterns
from sizes import f_tail, rejects

from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.design import categorical, full_factorial
from heatdrift.stats.deviance import Grouping

Floats = npt.NDArray[np.float64]
Found = dict[tuple[str, str], float]

SEED_LR_SD = 0.1
ONE_DATA_SET = "one data set"
SEED_LR = f"seed x lr SD {SEED_LR_SD:g}"
DESIGN = full_factorial([categorical("lr", LRS), categorical("method", ["full_ft", "lora_r8"])])
# without and with a residual variance that grows 100-fold with the learning rate
THIN = [Condition(seeds=s, method_sd=0.05, missing=m, spread=k) for k in ("none", "lr") for s in (3, 5) for m in (0, 1)]
HIDDEN = [Condition(seeds=s, method_sd=0.1, missing=m, spread="lr") for s in (3, 5) for m in (0, 1)]


def headline(model: InteractionModel, y: Floats) -> dict[tuple[str, str], Floats]:
    """Whether p_box and p_gg of method, lr and lr:method are below 5 %."""
    found = {}
    for term in ("method", "lr", "lr:method"):
        rows = model.design.hypotheses[term]
        hypothesis = cluster_contrast(model.within_seeds, rows)
        estimator, q = model.level_variances(term), rows.shape[0]
        if not hypothesis.testable:
            continue
        f, epsilon = hypothesis.statistics(y)
        box = estimator.epsilon(y, hypothesis.orthonormal) if q > 1 and estimator is not None else np.ones_like(f)
        df = hypothesis.df
        found["headline", term] = rejects(f_tail(f, q * box, df * box))
        if q > 1:
            found["seed-level F, Greenhouse-Geisser", term] = rejects(f_tail(f, q * epsilon, df * epsilon))
    return found


def one_data_set(
    condition: Condition, draws: int, rng: np.random.Generator
) -> Iterator[tuple[InteractionModel, Floats]]:
    """Models and responses of lr x method on one data set."""
    cells = np.repeat(np.arange(DESIGN.grid.shape[0]), condition.seeds)
    seeds = np.tile(np.arange(condition.seeds), DESIGN.grid.shape[0])
    lr, method = (DESIGN.level_codes(name) for name in ("lr", "method"))
    count = PATTERNS if condition.missing else 1
    for _ in range(count):
        kept = kept_runs(cells, seeds, condition, rng)
        c, s = cells[kept], seeds[kept]
        shape = (draws // count, condition.seeds)
        by_seed = condition.seed_sd * rng.normal(size=shape)
        by_method = condition.method_sd * rng.normal(size=(*shape, 2))
        sd = condition.residual_sd(lr)[c]
        y = by_seed[:, s] + by_method[:, s, method[c]] + sd * rng.normal(size=(shape[0], c.size))
        yield _model(c, s, condition.seeds), y


def hidden_spread(
    condition: Condition, draws: int, rng: np.random.Generator
) -> Iterator[tuple[InteractionModel, Floats]]:
    """The studies of `patterns` with a seed x lr effect of equal variance added."""
    for model, y in patterns(condition, draws, rng):
        by_lr = SEED_LR_SD * rng.normal(size=(y.shape[0], condition.seeds, len(LRS)))
        yield model, y + by_lr[:, model.seeds, LR[model.cells]]


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


def thin_sizes(kind: str, condition: Condition, draws: int, seed: int) -> Found:
    """Rejections in percent per (test, term) of one condition."""
    source = one_data_set if kind == ONE_DATA_SET else hidden_spread
    rng = np.random.default_rng([seed, *kind.encode(), *condition.label.encode()])
    total: dict[tuple[str, str], list[float]] = {}
    for model, y in source(condition, draws, rng):
        for key, rejected in headline(model, y).items():
            known = rejected[~np.isnan(rejected)]
            sums = total.setdefault(key, [0.0, 0.0])
            sums[0] += float(known.sum())
            sums[1] += known.size
    return {key: 100.0 * hits / n for key, (hits, n) in total.items()}
