"""Simulated studies for the error rate of a whole page: nothing is true in them but what a condition adds.

Every metric has its own seed effects (SD .2), seed x method and seed x data set effects and residuals (SD .157, after
real runs), and no two metrics have anything in common. Blocks and heads have a mean drift of 0.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.questions.base import StudyRuns

Floats = npt.NDArray[np.float64]
RESIDUAL_SD = 0.157
SEED_SD = 0.2
METRICS = (
    "retention_pct", "delta_entropy_pct", "delta_erf95_pct", "test_acc_pct", "val_acc_pct", "delta_gini_pct",
    "delta_entropy_last_pct", "delta_head_diversity_pct", "cka", "train_loss", "weight_drift", "embedding_drift",
)  # fmt: skip
EPOCH_METRICS = ("delta_entropy_pct", "delta_erf95_pct", "cka", "weight_drift", "train_loss")
BLOCKS, HEADS = 4, 4


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is simulated; `method_effect` and `slope_effect` (per step of lr) are added to retention, in residual SD."""

    name: str
    seeds: int = 3
    datasets: int = 2
    methods: tuple[str, ...] = ("full_ft", "lora_r8")
    lrs: tuple[float, ...] = (1e-6, 5e-6, 1e-5, 5e-5)
    method_sd: float = 0.0
    dataset_sd: float = 0.0
    spread: float = 1.0  # largest residual variance, at the highest learning rate, over the smallest
    tails: bool = False  # residuals from Student's t with 3 df, scaled to the same SD
    missing: float = 0.0
    ratio: bool = False  # metrics are ratios of two noisy numbers
    method_effect: float = 0.0
    slope_effect: float = 0.0


def studies(condition: Condition, draws: int, seed: int):
    """Yield `draws` studies."""
    rng = np.random.default_rng([seed, *condition.name.encode()])
    for _ in range(draws):
        yield _study(condition, rng)


def _study(c: Condition, rng: np.random.Generator) -> StudyRuns:
    rows = list(product(range(c.datasets), range(len(c.methods)), range(len(c.lrs)), range(c.seeds)))
    d, m, lr, s = (np.array(column) for column in zip(*rows, strict=True))
    kept = _kept(c, d, m, lr, s, rng)
    d, m, lr, s = d[kept], m[kept], lr[kept], s[kept]

    def metric(columns: int = 1) -> Floats:
        """(runs, columns) values around 0."""
        sd = RESIDUAL_SD * c.spread ** (0.5 * (np.linspace(-1.0, 0.0, len(c.lrs))[lr]))
        noise = rng.standard_t(3, (lr.size, columns)) / np.sqrt(3.0) if c.tails else rng.normal(size=(lr.size, columns))
        by_seed = SEED_SD * rng.normal(size=(c.seeds, columns))[s]
        by_method = c.method_sd * rng.normal(size=(c.seeds, len(c.methods), columns))[s, m]
        by_dataset = c.dataset_sd * rng.normal(size=(c.seeds, c.datasets, columns))[s, d]
        return by_seed + by_method + by_dataset + sd[:, None] * noise

    values = {name: metric()[:, 0] for name in METRICS}
    if c.ratio:
        values |= {name: 100.0 * (np.exp(metric()[:, 0]) / np.exp(metric()[:, 0]) - 1.0) for name in METRICS}
    effect = c.method_effect * (m == 1) + c.slope_effect * lr * (m == 1)
    values["retention_pct"] = 100.0 + values["retention_pct"] + RESIDUAL_SD * effect
    values |= {name: 70.0 + values[name] for name in ("test_acc_pct", "val_acc_pct")}
    values |= {name: np.exp(0.1 * values[name]) for name in ("weight_drift", "embedding_drift", "train_loss")}
    ids = [f"c{i:04d}" for i in range(lr.size)]
    runs = pl.DataFrame(
        {
            "study": "null", "cell_id": ids, "protocol": "leakfree", "backbone": "lab",
            "dataset": [f"set{i}" for i in d], "method": [c.methods[i] for i in m], "lr": [c.lrs[i] for i in lr],
            "seed": s, "status": "done", "selected_epoch": 2, "transfer_set": "cifar100", **values,
        }
    )  # fmt: skip
    first = {name: metric()[:, 0] for name in EPOCH_METRICS}
    first["weight_drift"] = np.exp(0.1 * first["weight_drift"])
    epochs = pl.concat(
        [
            pl.DataFrame({"study": "null", "cell_id": ids, "epoch": epoch, **table})
            for epoch, table in ((1, first), (2, {name: values[name] for name in EPOCH_METRICS}))
        ]
    )
    heads = _blocks(ids, metric(BLOCKS * HEADS), HEADS)
    return StudyRuns(runs=runs, epochs=epochs, layers=_blocks(ids, metric(BLOCKS), 0), heads=heads)


def _blocks(ids: list[str], drift: Floats, heads: int) -> pl.DataFrame:
    """Return rows of the view layers, or of heads where there are any."""
    places = [(b, h) for b in range(BLOCKS) for h in range(max(heads, 1))]
    n = len(places)
    frame = pl.DataFrame(
        {
            "study": "null", "cell_id": np.repeat(ids, n), "epoch": 2,
            "layer": np.tile([b for b, _ in places], len(ids)), "metric": "entropy",
            "value": (4.0 * (1 + drift / 100.0)).ravel(), "base": 4.0, "delta_pct": drift.ravel(),
        }
    )  # fmt: skip
    return frame.with_columns(head=pl.Series(np.tile([h for _, h in places], len(ids)))) if heads else frame


def _kept(c: Condition, d, m, lr, s, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Indices of the runs at hand; every cell keeps one run."""
    if not c.missing:
        return np.arange(lr.size)
    cell = (d * len(c.methods) + m) * len(c.lrs) + lr
    while True:
        kept = np.sort(rng.permutation(lr.size)[round(c.missing * lr.size) :])
        if np.unique(cell[kept]).size == np.unique(cell).size and np.unique(s[kept]).size == c.seeds:
            return kept


def _both(name: str, **how) -> list[Condition]:
    return [Condition(name=f"{name}, {seeds} seeds", seeds=seeds, **how) for seeds in (3, 5)]


# The rules of a page were chosen looking at these.
TUNED = [
    *_both("equal variances"),
    *_both("seed x method SD .1", method_sd=0.1),
    *_both("seed x data set SD .1", dataset_sd=0.1),
    *_both("variances 100-fold over lr, seed x method SD .05", spread=100.0, method_sd=0.05),
    *_both("residuals t(3)", tails=True),
    *_both("15 % missing", missing=0.15, method_sd=0.05),
    *_both("ratios", ratio=True),
    *_both("one data set", datasets=1),
]
# These only once the rules were fixed.
HELD_OUT = [
    Condition(name="4 seeds, 3 learning rates, everything at once", seeds=4, lrs=(1e-5, 1e-4, 1e-3), method_sd=0.1,
              dataset_sd=0.1, spread=30.0, tails=True, missing=0.1),
    Condition(name="3 methods, 3 seeds", methods=("full_ft", "lora_r8", "last_block"), method_sd=0.1),
    Condition(name="3 methods, 5 seeds, variances 100-fold", methods=("full_ft", "lora_r8", "last_block"), seeds=5,
              spread=100.0, method_sd=0.05),
    Condition(name="one data set, 3 seeds, variances 100-fold", datasets=1, spread=100.0, method_sd=0.05),
    Condition(name="one data set, 3 seeds, t(3), 15 % missing", datasets=1, tails=True, missing=0.15),
    Condition(name="3 data sets, 3 seeds, ratios, seed x data set SD .1", datasets=3, ratio=True, dataset_sd=0.1),
    Condition(name="8 seeds, seed x method SD .2", seeds=8, method_sd=0.2),
    Condition(name="2 learning rates, 3 seeds", lrs=(1e-5, 1e-4), method_sd=0.05),
]  # fmt: skip
METHOD_EFFECT = [
    Condition(name="method effect of 2 residual SD, 3 seeds", method_effect=2.0),
    Condition(name="method effect of 2 residual SD, 5 seeds", seeds=5, method_effect=2.0),
]
SLOPE_EFFECT = [
    Condition(name="method difference growing by 0.8 residual SD per step of lr, 3 seeds", slope_effect=0.8),
    Condition(name="method difference growing by 0.8 residual SD per step of lr, 5 seeds", seeds=5, slope_effect=0.8),
]
