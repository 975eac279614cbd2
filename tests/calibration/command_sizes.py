"""How often the tests of `stats paired`, `dose`, `layers`, `correlation` and `frontier` reject a true null at 5 %.

One function per command, with the same signature as those of ``sizes.py``: rejections (0 or 1, NaN where not defined)
of all simulated studies of one design, keyed by (test, of). Where a command tests one response at a time and the test
is linear in it, all studies are done in one product; `test_command_calibration.py` compares with what commands print.
"""

from collections.abc import Callable
from unittest import mock

import numpy as np
import numpy.typing as npt
from conditions import DATASET, LR, LRS, METHOD, N_CELLS
from scipy import special, stats
from sizes import ALPHA, Sizes, rejects

from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.stats import cell_correlation as cells_module
from heatdrift.stats.blocked_spearman import seed_trend_p, within_seed_test
from heatdrift.stats.cell_correlation import CellTable, bootstrap_interval, permutation_p, seed_level_p
from heatdrift.stats.cluster_robust import CellMeans, WithinClusters, cell_indicators
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.intervals import percentile_interval
from heatdrift.stats.matched_curves import Curves, matched_difference
from heatdrift.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli
from heatdrift.stats.rank_scores import adjusted_p, cell_scores, seed_agreement_p
from heatdrift.stats.ranks import spearman, spearman_p

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

GROUP = 2 * DATASET + METHOD  # of each cell: data set x method
HEADS = 144  # 12 blocks x 12 heads
SHARED = 0.5  # variance that the heads of one run share, where they are not independent
ARRANGEMENTS = 200  # (b + 1) / 201 below .05 has probability 10 / 201, within .03 points of 5 %
REFITS = 499  # bootstrap resamples of one interval
TREND = 0.2  # per step of the learning rate, 1.3 residual SD
DOSE_FINDING = "dose: permutation and seeds: a finding"
PERMUTATION, INTERVAL, SEEDS = "permutation p", "bootstrap interval misses 0", "seed-level t of r within a seed"
BOTH, FINDING = "permutation and interval", "permutation, interval and seeds: a finding"
TREND_IN_BOTH = "lr trend in both"
SIGNALS = 18  # candidates of one study; independent, the hardest case for "the best of"
AGAINST = "predictors: interval, adjusted permutation and seeds of any signal against its direction: a finding"
BEST = "predictors: interval, adjusted permutation and seeds of the best: a finding"


def _codes(values: npt.NDArray[np.integer]) -> Codes:
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.intp)


def paired_p(model: InteractionModel, y: Floats, dataset: int | None) -> dict[str, Floats]:
    """p of `stats paired` for lora_r8 - full_ft, over one data set or both: t_p, wilcoxon_p, seed_p."""
    n_seeds = len(model.seed_names)
    key = (DATASET[model.cells] * len(LRS) + LR[model.cells]) * n_seeds + model.seeds
    here = np.full(key.size, True) if dataset is None else DATASET[model.cells] == dataset
    sides = [np.flatnonzero(here & (METHOD[model.cells] == m)) for m in (0, 1)]
    common, first, second = np.intersect1d(key[sides[0]], key[sides[1]], return_indices=True)
    d = y[:, sides[1][second]] - y[:, sides[0][first]]
    n = common.size
    t = d.mean(axis=1) / d.std(axis=1, ddof=1) * np.sqrt(n)
    place = common // n_seeds
    several = np.bincount(place)[place] > 1  # a pair alone at its (data set, lr) has no spread
    fit = CellMeans(_codes(place[several]), _codes(common[several] % n_seeds))
    return {
        "t_p": 2.0 * special.stdtr(n - 1, -np.abs(t)),
        "wilcoxon_p": np.asarray(stats.wilcoxon(d, axis=1).pvalue),
        "seed_p": cluster_contrast(fit, fit.mean).t_tests(d[:, several]).p,
    }


def paired_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """The two published tests over pairs and the seed-level one that findings rest on."""
    names = {"t_p": "t over pairs", "wilcoxon_p": "Wilcoxon over pairs", "seed_p": "seed_t"}
    return {
        (f"paired: {names[name]}", place): rejects(p)
        for place, dataset in (("one data set", 0), ("both data sets", None))
        for name, p in paired_p(model, y, dataset).items()
    }


def dose_p(model: InteractionModel, y: Floats) -> dict[str, Floats]:
    """p of `stats dose` for the group of full_ft on the first data set: p, p_exact, and the slope's seed-level t."""
    here = GROUP[model.cells] == 0
    lr = np.array(LRS)[LR[model.cells[here]]]
    seeds, y = _codes(model.seeds[here]), y[:, here]
    exact = [within_seed_test(lr, row, seeds, draws=ARRANGEMENTS, seed=0).p for row in y]
    x = np.column_stack([np.ones_like(lr), np.log10(lr)])
    slope = cluster_contrast(WithinClusters(x, seeds), np.array([[0.0, 1.0]]))
    return {
        "p": np.array([spearman_p(spearman(lr, row), lr.size) for row in y]),
        "p_exact": np.array(exact),
        "slope": slope.t_tests(y).p,
        "seeds": np.array([seed_trend_p(lr, row, seeds) for row in y]),
    }


def dose_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """Rank correlation with the learning rate over the runs of one group, two ways, and the slope's interval."""
    p = dose_p(model, y)
    both = (p["p_exact"] < ALPHA) & ~(p["seeds"] >= ALPHA)
    return {
        ("dose: Spearman, asymptotic p", "one group"): rejects(p["p"]),
        ("dose: exact permutation within seeds", "one group"): rejects(p["p_exact"]),
        ("dose: seed-level interval of the slope misses 0", "one group"): rejects(p["slope"]),
        ("dose: seed-level t of r within a seed", "one group"): rejects(p["seeds"]),
        (DOSE_FINDING, "one group"): both.astype(float),
    }


def layers_p(model: InteractionModel, y: Floats) -> dict[str, Floats]:
    """p of `stats layers`: the difference of methods, and the mean drift of each of the four groups."""
    cell = _codes(model.cells)
    method = METHOD[np.unique(model.cells)]
    row = np.where(method == 1, 1.0 / np.sum(method == 1), -1.0 / np.sum(method == 0))
    within = WithinClusters(cell_indicators(cell), model.seeds)
    found = {"method": cluster_contrast(within, row[None, :]).t_tests(y).p}
    for group in range(int(GROUP.max()) + 1):
        here = GROUP[model.cells] == group
        fit = CellMeans(_codes(LR[model.cells[here]]), _codes(model.seeds[here]))
        found[f"drift {group}"] = cluster_contrast(fit, fit.mean).t_tests(y[:, here]).p
    return found


def layers_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """One response: the methods, and the drift of one group."""
    p = layers_p(model, y)
    return {
        ("layers: methods differ, seed-level t", "one block or head"): rejects(p["method"]),
        ("layers: drift is not 0, seed-level t", "one block or head"): rejects(p["drift 0"]),
    }


def _any_rejected(p: Floats, *, any_dependence: bool) -> Floats:
    """Whether Benjamini-Hochberg (or -Yekutieli) at 5 % rejects anything in each family, `p` (families, tests)."""
    adjust = benjamini_yekutieli if any_dependence else benjamini_hochberg
    return np.array([float((adjust(family) < ALPHA).any()) for family in p])


def layers_family_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """False discovery proportion when nothing is true: 1 where a family of heads has any rejection, else 0.

    A study is HEADS + 1 consecutive rows of `y`; the first is what the heads share where they are dependent.
    """
    studies = y.shape[0] // (HEADS + 1)
    table = y.reshape(studies, HEADS + 1, -1)
    own, common = table[:, 1:], table[:, :1]
    dependent = np.sqrt(SHARED) * common + np.sqrt(1.0 - SHARED) * own
    found: Sizes = {}
    for words, values in (("independent", own), (f"{100 * SHARED:g} % shared", dependent)):
        p = layers_p(model, values.reshape(studies * HEADS, -1))
        drift = np.hstack([p[name].reshape(studies, HEADS) for name in p if name != "method"])
        families = {f"methods, {HEADS} heads": p["method"].reshape(studies, HEADS), f"drift, 4 x {HEADS} heads": drift}
        for name, values_p in families.items():
            for rule, any_dependence in (("Benjamini-Hochberg", False), ("Benjamini-Yekutieli", True)):
                of = f"{name}, {words}"
                found[(f"layers: any finding by {rule}", of)] = _any_rejected(values_p, any_dependence=any_dependence)
    return found


REMOVED: dict[str, Callable[[CellTable], Codes]] = {
    "pooled": lambda table: np.zeros(table.n_cells, dtype=np.intp),
    "repeated measures": lambda table: table.group,
}


def cell_table(model: InteractionModel, x: Floats, y: Floats) -> CellTable:
    """One simulated study of two metrics as `stats correlation` sees it."""
    return CellTable(x=x, y=y, cell=model.cells, seed=model.seeds, group=GROUP.astype(np.intp), lr=LR.astype(np.intp))


def correlation_tests(table: CellTable, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Permutation p, and whether the bootstrap interval misses 0 (NaN where undefined), per row of the command."""
    one = table.subset(table.group == 0)
    rows = {
        "pooled": (table, np.zeros(N_CELLS, dtype=np.intp), table.group),
        "within one group": (one, one.group, one.group),
        "repeated measures": (table, table.group, table.group),
        "partial given lr": (table, table.lr, table.lr),
    }
    found = {}
    for name, (part, removed, blocks) in rows.items():
        # one group is enumerated as in the command (24 arrangements); for more, random ones have the same size
        with mock.patch.object(cells_module, "ENUMERATION_LIMIT", 24):
            p = permutation_p(part, removed, blocks, draws=ARRANGEMENTS, rng=rng)[0]
        low, high, _ = bootstrap_interval(part, removed, draws=REFITS, level=1.0 - ALPHA, rng=rng)
        found[name] = (p, float("nan") if np.isnan(low) else float(low > 0 or high < 0))
    return found


def correlation_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """Two metrics without any link but, in two of three truths, a trend over the learning rate. `y` holds x, then y."""
    half = y.shape[0] // 2
    steps = TREND * LR[model.cells]
    truths = {"independent": (0.0, 0.0), "lr trend in one": (1.0, 0.0), TREND_IN_BOTH: (1.0, 1.0)}
    rng = np.random.default_rng(y[0].view(np.uint64))  # another stream for each pattern of missing runs
    found: dict[tuple[str, str], list[float]] = {}
    for truth, (in_x, in_y) in truths.items():
        for x, other in zip(y[:half], y[half:], strict=True):
            table = cell_table(model, x + in_x * steps, other + in_y * steps)
            for row, (p, misses) in correlation_tests(table, rng).items():
                reject = float("nan") if np.isnan(p) else float(p < ALPHA)
                tests = {PERMUTATION: reject, INTERVAL: misses}
                if row in REMOVED:  # the command makes sentences of these two only
                    seeds = float(seed_level_p(table, REMOVED[row](table)) < ALPHA)
                    tests |= {BOTH: reject * misses, SEEDS: seeds, FINDING: reject * misses * seeds}
                for test, value in tests.items():
                    found.setdefault((f"correlation: {test}", f"{row}, {truth}"), []).append(value)
    return {key: np.array(values) for key, values in found.items()}


def predictor_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """Whether the best of 18 signals without any link to retention is said to rank it, over cell means.

    A study is SIGNALS + 1 consecutive rows of `y`; the first is retention. With 'methods differ', method moves it and
    every signal, and with 'lr trend' the learning rate moves it too.
    """
    rng = np.random.default_rng(y[0].view(np.uint64))
    other = np.random.default_rng(y[1].view(np.uint64))  # leaves the draws of the other tests as they were
    means = cell_indicators(model.cells) / np.bincount(model.cells)
    found: dict[tuple[str, str], list[float]] = {}
    for rows in y.reshape(-1, SIGNALS + 1, y.shape[1]):
        table = rows @ means
        for truth, slope, gap in (("independent", 0.0, 0.0), ("lr trend in retention, methods differ", TREND, 0.3)):
            outcome, signals = table[0] + slope * LR + gap * METHOD, table[1:].T + gap * METHOD[:, None]
            codes = DATASET.astype(np.intp), GROUP.astype(np.intp)
            scores = cell_scores(signals, outcome, *codes, draws=REFITS, rng=rng)
            p, _ = adjusted_p(signals, outcome, *codes, draws=ARRANGEMENTS, rng=rng)
            best = int(np.argmax(scores.observed))
            misses = float(percentile_interval(scores.resampled[:, best], 1.0 - ALPHA)[0] > 0)
            moved = slope * LR[model.cells] + gap * METHOD[model.cells], gap * METHOD[model.cells]
            agreed = seed_agreement_p(
                rows[1 + best] + moved[1], rows[0] + moved[0], model.cells, GROUP.astype(np.intp), model.seeds
            )
            p_against, _ = adjusted_p(-signals, outcome, *codes, draws=ARRANGEMENTS, rng=other)
            highs = percentile_interval(scores.resampled, 1.0 - ALPHA)[1]
            against = [
                seed_agreement_p(
                    rows[1 + k] + moved[1], rows[0] + moved[0], model.cells, GROUP.astype(np.intp), model.seeds
                )
                for k in np.flatnonzero((highs < 0) & (p_against < ALPHA))
            ]
            tests = {
                "predictors: bootstrap interval of the best is above 0": misses,
                "predictors: bootstrap interval of one signal misses 0": float(
                    np.prod(percentile_interval(scores.resampled[:, 0], 1.0 - ALPHA)) > 0
                ),
                "predictors: adjusted permutation p of the best": float(p[best] < ALPHA),
                "predictors: seed-level t of the best": float(agreed < ALPHA),
                AGAINST: float(any(p < ALPHA for p in against)),
                BEST: misses * float(p[best] < ALPHA) * float(agreed < ALPHA),
            }
            for test, value in tests.items():
                found.setdefault((test, truth), []).append(value)
    return {key: np.array(values) for key, values in found.items()}


def matched_sizes(model: InteractionModel, y: Floats) -> Sizes:
    """`stats frontier`: both methods have one dose curve, so retention at equal accuracy is equal. `y`: x, then y."""
    half = y.shape[0] // 2
    here = DATASET[model.cells] == 0
    cells, seeds = model.cells[here], model.seeds[here]
    p = []
    for x, outcome in zip(y[:half, here], y[half:, here], strict=True):
        accuracy, retention = (np.full((2, len(LRS), len(model.seed_names)), np.nan) for _ in range(2))
        place = METHOD[cells], LR[cells], seeds
        accuracy[place], retention[place] = x + LR[cells], outcome - LR[cells]
        with_both = ~np.isnan(accuracy).all(axis=1).any(axis=0)
        curves = [Curves(matched=accuracy[m][:, with_both], outcome=retention[m][:, with_both]) for m in (0, 1)]
        match = matched_difference(*curves)
        p.append(t_p_value(match.difference / match.se, match.df))
    return {("frontier: matched difference, jackknife", "at equal accuracy"): rejects(np.array(p))}
