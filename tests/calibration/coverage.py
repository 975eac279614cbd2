"""Coverage of the printed 95 % intervals where the truth is known."""

import numpy as np
from conditions import RESIDUAL_SD, Condition, patterns
from sizes import AT_HIGHEST, CONTRAST, fits_of

from heatdrift.stats.intervals import percentile_interval
from heatdrift.stats.mixed_model import MixedFit, fit_mixed
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap
from heatdrift.stats.profile_likelihood import icc_interval, variance_interval
from heatdrift.stats.variance_ratio import spectrum

LEVEL = 0.95
STUDIES = 200
REFITS = 499
CONDITIONS = [Condition(seeds=s, missing=m) for s in (3, 5) for m in (False, True)]


def _inside(ends: tuple[float, float], truth: float) -> float:
    return float(ends[0] <= truth <= ends[1])


def coverage(condition: Condition, seed: int) -> dict[str, list[float]]:
    """1 where an interval of a simulated study holds the truth, per kind of interval."""
    rng = np.random.default_rng([seed, *condition.label.encode(), 1])
    seed_variance, residual = condition.seed_sd**2, RESIDUAL_SD**2
    icc = seed_variance / (seed_variance + residual)
    found: dict[str, list[float]] = {}

    def note(name: str, ends: tuple[float, float], truth: float) -> None:
        found.setdefault(name, []).append(_inside(ends, truth))

    for model, y in patterns(condition, STUDIES, rng):
        for fit in fits_of(model, y):
            low, high = spectrum(fit.y, fit.x, fit.groupings[0]).interval(LEVEL)
            note("ICC, exact (Harville-Fenech)", (low, high), seed_variance / residual)
            again: MixedFit = fit_mixed(fit.y, fit.x, fit.groupings)
            note("ICC, REML profile", icc_interval(again, LEVEL), icc)
            for reml in (True, False):
                kind = "REML" if reml else "ML"
                note(f"seed variance, {kind} profile", variance_interval(again, 0, LEVEL, reml=reml), seed_variance)
                note(f"residual variance, {kind} profile", variance_interval(again, 1, LEVEL, reml=reml), residual)
            refits = parametric_bootstrap(again, draws=REFITS, seed=int(rng.integers(2**32)))
            ends = percentile_interval(np.column_stack([refits.variances, refits.icc, refits.beta @ CONTRAST]), LEVEL)
            truths = ("seed variance", seed_variance), ("residual variance", residual), ("ICC", icc), (AT_HIGHEST, 0.0)
            for i, (name, truth) in enumerate(truths):
                note(f"{name}, parametric bootstrap", (float(ends[0][i]), float(ends[1][i])), truth)
    return found


def coverage_table(results: list[dict[str, list[float]]]) -> list[str]:
    """Markdown rows: one interval per row, one condition per column."""
    heads = [f"{c.seeds} {'missing' if c.missing else 'bal.'}" for c in CONDITIONS]
    error = 100.0 * float(np.sqrt(LEVEL * (1.0 - LEVEL) / STUDIES))
    return [
        f"Percent of {STUDIES} simulated studies (seed SD .2, residual SD .157, equal variances; standard error of "
        f"95 %: {error:.1f}) whose interval holds the truth. Bootstrap with B={REFITS}. Profile intervals of "
        "contrasts: see 'profile interval (ML) misses 0' above.",
        "",
        "| interval | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
        *(
            f"| {name} | " + " | ".join(f"{100.0 * np.mean(found[name]):.1f}" for found in results) + " |"
            for name in results[0]
        ),
        "",
    ]
