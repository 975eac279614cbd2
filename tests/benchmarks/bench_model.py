"""`stats model` on large tables: processor and wall time of everything that it reports, and of lme4's fit alone.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/bench_model.py
Prints the Markdown rows of docs/performance.md, section 'Models of any table'. One run each, after import.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from heatdrift.questions.model.analysis import fit_model

R_CODE = """
suppressMessages(library(lmerTest)); a <- commandArgs(TRUE); d <- read.csv(a[1], stringsAsFactors = TRUE)
t <- system.time({ m <- lmer(as.formula(a[2]), d); if (length(fixef(m)) > 1) anova(m) })
cat(t[["user.self"]] + t[["sys.self"]])
"""
FULL = "y ~ a * b + x + (1 | g)"


def table(rows: int, first: int, second: int) -> pl.DataFrame:
    """Rows of random groups, two factors and a covariate."""
    rng = np.random.default_rng(0)
    g, h, a, b = (rng.integers(0, n, rows) for n in (first, second, 4, 3))
    y = rng.normal(size=first)[g] + 0.5 * rng.normal(size=second)[h] + 0.1 * a + rng.normal(size=rows)
    named = {name: [f"{name}{i}" for i in codes] for name, codes in zip("ghab", (g, h, a, b), strict=True)}
    return pl.DataFrame({"y": y, "x": rng.normal(size=rows), **named})


def crossed(levels: int) -> pl.DataFrame:
    """One row of every pair of levels."""
    rng = np.random.default_rng(1)
    g, h = np.divmod(np.arange(levels**2), levels)
    y = rng.normal(size=levels)[g] + 0.5 * rng.normal(size=levels)[h] + rng.normal(size=g.size)
    return pl.DataFrame(
        {"y": y, "g": [f"g{i}" for i in g], "h": [f"h{i}" for i in h], "a": [f"a{i % 4}" for i in g + h]}
    )


CASES = (
    ("10,000 rows, 50 groups, 13 coefficients", table(10_000, 50, 20), FULL, "2 s"),
    ("10,000 rows, 1,000 groups, 13 coefficients", table(10_000, 1_000, 20), FULL, "2 s"),
    ("10,000 rows, 50 x 20 crossed groups, 13 coefficients", table(10_000, 50, 20), f"{FULL} + (1 | h)", "2 s"),
    ("10,000 rows, 500 groups nested in 50, 13 coefficients", table(10_000, 50, 10), "y ~ a * b + x + (1 | g / h)", ""),
    ("40,000 rows, 200 x 200 crossed groups, 4 coefficients", crossed(200), "y ~ a + (1 | g) + (1 | h)", "5 s"),
)


def lme4(frame: pl.DataFrame, formula: str) -> str:
    """Processor time of lmer and Satterthwaite's tests; empty without R."""
    if shutil.which("Rscript") is None:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        frame.write_csv(path)
        run = subprocess.run(["Rscript", "-e", R_CODE, path, formula], capture_output=True, text=True, check=False)
    return f"{float(run.stdout):.1f} s" if run.returncode == 0 else ""


def main() -> None:
    fit_model(table(200, 5, 4), FULL)  # imports
    sys.stdout.write(
        "| table | heatdrift, processor | wall | target | lme4 and lmerTest, processor |\n|---|---|---|---|---|\n"
    )
    for words, frame, formula, target in CASES:
        used, began = time.process_time(), time.perf_counter()
        fit_model(frame, formula)
        used, wall = time.process_time() - used, time.perf_counter() - began
        sys.stdout.write(f"| {words} | {used:.1f} s | {wall:.1f} s | {target} | {lme4(frame, formula)} |\n")


if __name__ == "__main__":
    main()
