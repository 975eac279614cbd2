"""One interaction analysis, and 10,000 parametric-bootstrap refits, beside statsmodels and lme4.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/bench_interaction.py
Prints the Markdown rows of docs/performance.md, section 'Statistics'. Each timing is the best of some repeats, after
import. The model is delta ~ lr * method * dataset + (1 | seed) on tests/reference/r/sim_unbalanced_68.csv.
"""

import json
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from heatdrift.questions.interaction.analysis import interaction
from heatdrift.questions.interaction.build import build_model
from heatdrift.questions.selection import largest_block, select_runs
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap

DATA = Path(__file__).resolve().parents[1] / "reference" / "r" / "sim_unbalanced_68.csv"
METRIC = "delta_entropy_pct"
REFITS = 10_000
OTHER_REFITS = 40  # statsmodels and lme4 refit this often; their time is multiplied up
R_CODE = """
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = TRUE)
d$seed <- factor(d$seed); d$lr_f <- factor(d$lr_f)
f <- drift_pct ~ lr_f * method * dataset + (1 | seed)
once <- function() {
  m <- lmer(f, d)
  anova(m, ddf = "Satterthwaite"); anova(m, ddf = "Kenward-Roger")
  drop1(refitML(as(m, "lmerMod")), test = "Chisq")
}
invisible(suppressMessages(once()))
analysis <- min(sapply(1:3, function(i) system.time(suppressMessages(once()))[["elapsed"]]))
m <- lme4::lmer(f, d)
y <- simulate(m, as.integer(commandArgs(TRUE)[2]), seed = 1)
refits <- system.time(for (v in y) { d$new <- v; lme4::lmer(update(f, new ~ .), d) })[["elapsed"]]
cat(sprintf('{"analysis": %f, "refits": %f}', analysis, refits))
"""


def best(function: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def runs() -> pl.DataFrame:
    frame = pl.read_csv(DATA).rename({"drift_pct": METRIC}).with_columns(status=pl.lit("done"))
    return frame.select("dataset", "method", "lr", "seed", "status", METRIC)


def by_statsmodels(responses: np.ndarray) -> float:
    """Seconds per refit of the same model."""
    import pandas as pd  # comes with statsmodels
    import statsmodels.formula.api as smf

    frame = pd.read_csv(DATA)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its convergence warnings are why it is compared, not of a timing
        for response in responses:
            frame["y"] = response
            smf.mixedlm("y ~ C(lr) * method * dataset", frame, groups=frame["seed"]).fit(reml=True)
    return (time.perf_counter() - began) / len(responses)


def by_r() -> dict[str, float] | None:
    if shutil.which("Rscript") is None:
        return None
    done = subprocess.run(
        ["Rscript", "-e", R_CODE, str(DATA), str(OTHER_REFITS)], capture_output=True, text=True, check=False
    )
    start = done.stdout.rfind("{")
    return json.loads(done.stdout[start:]) if done.returncode == 0 and start >= 0 else None


def main() -> None:
    frame = runs()
    analysis = best(lambda: interaction(frame, metric=METRIC), 10)
    selection = largest_block(select_runs(frame, [METRIC]))
    lrs = sorted(set(frame["lr"].to_list()))
    model = build_model(selection, metric=METRIC, lr_as="factor", random="seed", study_lrs=lrs)
    refits = best(lambda: parametric_bootstrap(model.fit, draws=REFITS, seed=0), 3)
    fit = best(lambda: fit_mixed(model.y, model.x, model.groupings), 20)
    rng = np.random.default_rng(0)
    noise = np.sqrt(model.fit.residual_variance) * rng.normal(size=(model.y.size, OTHER_REFITS))
    for grouping, variance in zip(model.fit.groupings, model.fit.variances, strict=True):
        noise += np.sqrt(variance) * grouping.indicator @ rng.normal(size=(grouping.indicator.shape[1], OTHER_REFITS))
    single = by_statsmodels((model.x @ model.fit.beta)[None, :] + noise.T)
    r = by_r()
    out = sys.stdout.write
    out("| what | heatdrift | target | statsmodels MixedLM | lme4 |\n|---|---|---|---|---|\n")
    if r is None:
        r_analysis = r_refits = r_fit = "not at hand"
    else:
        r_analysis = f"{r['analysis']:.2f} s ({r['analysis'] / analysis:.0f}x)"
        per = r["refits"] / OTHER_REFITS
        r_fit = f"{per:.3f} s ({per / fit:.0f}x)"
        r_refits = f"{per * REFITS:.0f} s ({per * REFITS / refits:.0f}x), from {OTHER_REFITS}"
    alone = f"one fit alone, no tests: {single:.3f} s ({single / analysis:.2g}x)"
    with_tests = f"with Satterthwaite, Kenward-Roger, drop1: {r_analysis}"
    out(f"| one interaction with all tests and checks | {analysis:.3f} s | 0.1 s | {alone} | {with_tests} |\n")
    out(f"| one REML fit | {fit:.4f} s | | {single:.3f} s ({single / fit:.0f}x) | {r_fit} |\n")
    out(
        f"| {REFITS} parametric-bootstrap refits | {refits:.2f} s | 5 s | {single * REFITS:.0f} s"
        f" ({single * REFITS / refits:.0f}x), from {OTHER_REFITS} | {r_refits} |\n"
    )


if __name__ == "__main__":
    main()
