"""Time of `stats layers`: 1,728 responses (12 blocks x 12 heads x 12 probes) of 80 runs, beside statsmodels' own loop.

``python tests/benchmarks/bench_layers.py [--loop 24]`` prints one JSON object. Two times of ours: the whole command on
view-shaped frames (pivot, tests, false discovery rates, findings) and the vectorised fit alone. statsmodels fits one
model per response: a random-intercept MixedLM (what a user would write; `--loop` responses, scaled up) and OLS with
seed-clustered errors (faster, wrong for five seeds). Median of five for ours; one process, one thread.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import product

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
import statsmodels.formula.api as smf

from heatdrift.metrics import PROBES
from heatdrift.questions.layers.analysis import layers
from heatdrift.questions.selection import codes
from heatdrift.stats.cluster_robust import WithinClusters, cell_indicators
from heatdrift.stats.cluster_tests import cluster_contrast

BLOCKS, HEADS, PER_HEAD = 12, 12, 12
GRID = (("eurosat", "pets"), ("full_ft", "lora_r8"), (1e-6, 5e-6, 1e-5, 5e-5), (7, 11, 19, 42, 123))


def study() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Frames of `runs`, `layers` and `heads`; per-head probes are four, so blocks go on to 36 to make 1,728."""
    rng = np.random.default_rng(0)
    names = [p.name for p in PROBES if p.per_head]
    rows = [
        {"dataset": d, "method": m, "lr": lr, "seed": s, "status": "done", "cell_id": f"c{i}", "selected_epoch": 6}
        for i, (d, m, lr, s) in enumerate(product(*GRID))
    ]
    runs = pl.DataFrame(rows)
    places = list(product(range(BLOCKS * PER_HEAD // len(names)), range(HEADS), names))
    long = runs.select("cell_id").join(
        pl.DataFrame(places, schema=["layer", "head", "metric"], orient="row"), how="cross"
    )
    drift = rng.normal(size=long.height)
    heads = long.with_columns(
        pl.lit(6).alias("epoch"), pl.Series("value", drift), pl.lit(1.0).alias("base"), pl.Series("delta_pct", drift)
    )
    return runs, heads.drop("head").clear(), heads


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print the times and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", type=int, default=24, help="responses fitted by MixedLM")
    loop = parser.parse_args().loop
    runs, blocks, heads = study()
    responses = heads.select("layer", "head", "metric").unique().height
    whole = seconds(lambda: layers(runs, blocks, heads))
    values = heads["delta_pct"].to_numpy().reshape(runs.height, responses).T
    cell = codes(runs, "dataset", "method", "lr")
    row = np.where(runs["method"].to_numpy()[np.unique(cell, return_index=True)[1]] == "lora_r8", 0.125, -0.125)

    def fit() -> None:
        fit = WithinClusters(cell_indicators(cell), codes(runs, "seed"))
        cluster_contrast(fit, row[None, :]).t_tests(values)

    frame = runs.select("dataset", "method", "lr", "seed").to_pandas()
    formula = "y ~ C(lr) * method * dataset"

    def mixed() -> None:
        for y in values[:loop]:
            smf.mixedlm(formula, frame.assign(y=y), groups="seed").fit(reml=True)

    def clustered() -> None:
        for y in values[:loop]:
            smf.ols(formula, frame.assign(y=y)).fit(cov_type="cluster", cov_kwds={"groups": frame["seed"]})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of boundary and convergence on most of these fits
        slow = seconds(mixed, 1) * responses / loop
        plain = seconds(clustered, 1) * responses / loop
    vectorised = seconds(fit)
    found = {
        "responses": responses,
        "runs": runs.height,
        "layers_command_s": whole,
        "vectorised_fit_s": vectorised,
        "statsmodels_mixedlm_loop_s": slow,
        "statsmodels_clustered_ols_loop_s": plain,
        "ratio_mixedlm_to_command": slow / whole,
        "ratio_clustered_ols_to_command": plain / whole,
        "ratio_mixedlm_to_fit": slow / vectorised,
    }
    shown = {key: value if isinstance(value, int) else float(f"{value:.3g}") for key, value in found.items()}
    print(json.dumps(shown, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
