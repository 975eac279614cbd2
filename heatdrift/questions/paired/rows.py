"""Rows of a paired comparison: one metric at one place, over pairs as published and at the seed level."""

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.metrics import run_column
from heatdrift.questions.margins import MarginRow, margin_row
from heatdrift.questions.paired.result import PairedRow
from heatdrift.questions.pairs import (
    PAIR,
    SeedDifference,
    common_cells,
    method_pairs,
    same_sign,
    seed_level_difference,
    without_rounding,
)
from heatdrift.stats.cluster_robust import NO_SPREAD
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.effect_sizes import share_interval, standardised
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.sign_flip import least_p, sign_flip_p
from heatdrift.wording import difference_unit

Floats = npt.NDArray[np.float64]


def compared(
    frame: pl.DataFrame, metric: str, dataset: str | None, methods: tuple[str, str], level: float, n_available: int
) -> tuple[PairedRow, SeedDifference | None]:
    """One row without its Holm values, and the test that it rests on."""
    nan = float("nan")
    pairs = method_pairs(frame, metric, *methods)
    test = seed_level_difference(frame, metric, *methods)
    d = pairs["d"].to_numpy()
    n = d.size
    mean_a, mean_b = (float(pairs[side].to_numpy().mean()) if n else nan for side in ("a", "b"))
    if test is not None and not n:
        mean_a, mean_b = test.mean_a, test.mean_b
    sd = float(d.std(ddof=1)) if n > 1 else nan
    # rounding of the values that were subtracted is no spread
    sd = sd if sd > NO_SPREAD * float(np.abs(pairs["a"].to_numpy()).max(initial=0.0)) else nan
    difference = without_rounding(float(d.mean()), mean_a) if n else nan
    t = difference / sd * float(np.sqrt(n))
    published = dict(zip(methods, (mean_a, mean_b), strict=True)) if set(methods) == set(PAIR) else {}
    n_used = 2 * n if test is None or test.how == "pairs" else test.n_runs
    row = PairedRow(
        dataset=dataset,
        metric=metric,
        unit=difference_unit(run_column(metric).unit),
        n=n,
        n_dropped=n_available - n_used,
        mean_full_ft=published.get("full_ft"),
        mean_lora_r8=published.get("lora_r8"),
        mean_a=mean_a,
        mean_b=mean_b,
        difference=difference,
        dz=difference / sd,
        t=t,
        t_p=t_p_value(t, n - 1),
        t_p_holm=nan,
        wilcoxon_p=_wilcoxon_p(d),
        seed_difference=nan,
        seed_t=nan,
        seed_df=nan,
        seed_p=nan,
        seed_p_holm=nan,
        n_seeds=int(pairs["seed"].n_unique()),
        ci_low=nan,
        ci_high=nan,
        same_sign=same_sign(frame, metric, *methods),
        n_lrs=common_cells(frame, *methods)["lr"].n_unique(),
    )
    return (row if test is None else _with_test(row, test, level)), test


def _with_test(row: PairedRow, test: SeedDifference, level: float) -> PairedRow:
    """Return the row with its seed-level test, its sizes of effect and what such seeds can detect."""
    low, high = test.interval(level)
    n_effective = test.n_linked if test.how == "pairs" else 1.0 / (1.0 / test.n_seeds_a + 1.0 / test.n_seeds_b)
    # seeds of which some are shared have no one SD
    seed_d = (float("nan"),) * 3 if test.how == "mixed" else standardised(test.t, test.df, n_effective, level)
    untied = test.per_seed[test.per_seed != 0.0]
    hits = int(np.sum(untied > 0.0))
    prob = share_interval(hits, untied.size, level)
    return replace(
        row,
        seed_difference=test.estimate,
        seed_t=test.t,
        seed_df=test.df,
        seed_p=test.p,
        n_seeds=test.n_seeds,
        ci_low=low,
        ci_high=high,
        seed_test=test.how,
        n_seeds_a=test.n_seeds_a,
        n_seeds_b=test.n_seeds_b,
        n_seeds_shared=test.n_linked,
        detectable=test.detectable(),
        seed_d=seed_d[0],
        seed_d_low=seed_d[1],
        seed_d_high=seed_d[2],
        flip_p=sign_flip_p(test.per_seed),
        flip_p_least=least_p(test.per_seed.size),
        prob_above=hits / untied.size if untied.size else float("nan"),
        prob_low=prob[0],
        prob_high=prob[1],
        n_seeds_untied=untied.size,
    )


def _wilcoxon_p(d: Floats) -> float:
    """Two-sided signed-rank p by scipy's own choice of null (exact for small n without ties); NaN if all are 0."""
    from scipy import stats  # 0.4 s to import: only this command pays

    if d.size < 2 or not np.any(d):
        return float("nan")
    return float(stats.wilcoxon(d).pvalue)


def adjusted(rows: list[PairedRow]) -> list[PairedRow]:
    """Return the rows with both adjustments by Holm over all of them."""
    published, seed = holm([r.t_p for r in rows]), holm([r.seed_p for r in rows])
    return [
        replace(row, t_p_holm=float(a), seed_p_holm=float(b)) for row, a, b in zip(rows, published, seed, strict=True)
    ]


def against_margin(row: PairedRow, test: SeedDifference | None, margin: tuple[float, float]) -> MarginRow:
    """Return the seed-level test of a row against a margin."""
    se, df = (test.se, test.df) if test is not None else (float("nan"), float("nan"))
    return margin_row(
        margin,
        metric=row.metric,
        unit=row.unit,
        estimate=row.seed_difference,
        se=se,
        df=df,
        p_difference=row.seed_p,
        dataset=row.dataset,
    )
