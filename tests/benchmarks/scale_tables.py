"""Simulated studies of 5,000 and 10,000 runs as tables that `heatdrift import --format heatdrift` takes.

``python tests/benchmarks/scale_tables.py FOLDER`` writes FOLDER/{a5,a10,b5,b10}: 4 epochs, 12 blocks, 2 heads. The
grids and the commands that were timed on them stand in docs/performance.md.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

METHODS = ("full_ft", "lora_r8", "last_block", "lora_r8_frozen_proj", "linear_probe")
SIZES = {"a5": (2, 4, 8, 78), "b5": (10, 5, 20, 5), "a10": (2, 4, 8, 156), "b10": (10, 5, 20, 10)}
BLOCKS, HEADS, LAST = 12, 2, 3
BASE = {"entropy": 4.0, "erf95": 0.6, "gini": 0.5, "head_diversity": 0.4}


def write_study(folder: Path, n_datasets: int, n_methods: int, n_lrs: int, n_seeds: int) -> None:
    """Write runs, epochs, layers and heads of a grid: drift grows with the learning rate, each seed has an offset."""
    rng = np.random.default_rng(0)
    lrs = np.array([float(f"{lr:.3g}") for lr in np.geomspace(1e-6, 1e-3, n_lrs)])
    grid = np.array(list(product(range(n_datasets), range(n_methods), range(n_lrs), range(n_seeds))))
    dataset, method, lr, seed = grid.T
    n, step = len(grid), np.log10(lrs[lr] / 1e-6)
    offset = rng.normal(size=n_seeds)[seed]
    reaction = 0.7 * rng.normal(size=(n_seeds, n_methods))[seed, method]
    drift = (1 - 0.2 * method) * (1 + step) * (1 + 0.1 * rng.normal(size=n_datasets)[dataset])

    def noise(sd: float = 1.0) -> np.ndarray:
        return rng.normal(size=n) * sd * (1 + 0.5 * step)

    key = {"study": "scale", "cell_id": [f"c1-{i:016x}" for i in range(n)]}
    retention = 100 - 9 * drift + offset + reaction + noise()
    val_acc = np.clip(95 - 4 * 0.2**step - method + noise(0.3), 0, 100)
    runs = key | {
        "protocol": "leakfree", "backbone": "ViT-B-32-quickgelu/openai",
        "dataset": [["eurosat", "pets", *map("data{}".format, range(8))][i] for i in dataset],
        "method": [METHODS[i] for i in method], "lr": lrs[lr], "seed": seed, "status": "done", "epochs": LAST,
        "selected_epoch": LAST, "val_acc_pct": val_acc, "test_acc_pct": np.clip(val_acc + noise(0.3), 0, 100),
        "transfer_set": "cifar100", "zero_shot_base_pct": 62.0, "zero_shot_pct": np.clip(0.62 * retention, 0, 100),
        "n_transfer": 10_000, "wall_s": 100 + 10 * rng.random(n), "train_loss": np.clip(1 - 0.1 * drift, 0.01, None),
    }  # fmt: skip
    epochs, layers, heads = [], [], []
    for epoch in range(LAST + 1):
        part = epoch / LAST
        moved = {name: part * (drift + 0.3 * offset + noise(0.3)) for name in BASE}
        rows = key | {"epoch": epoch} | {name: base * (1 + moved[name] / 100) for name, base in BASE.items()}
        if epoch:
            rows |= {
                "train_loss": np.clip(1.3 - 0.1 * drift - 0.1 * epoch, 0.01, None),
                "val_acc_pct": np.clip(val_acc - 5 * (1 - part), 0, 100),
                "cka": np.clip(1 - 0.03 * part * drift - 0.005 * abs(noise()), 0, 1),
                "cka_debiased": np.clip(1 - 0.05 * part * drift - 0.005 * abs(noise()), 0, 1),
                "embedding_drift": np.clip(0.02 * part * drift + 0.001 * abs(noise()), 0, None),
                "weight_drift": 0.01 * part * 3**step * (1 - 0.15 * method) * np.exp(0.05 * rng.normal(size=n)),
            }
        epochs.append(pl.DataFrame(rows))
    for epoch, block, metric in product((0, LAST), range(BLOCKS), ("entropy", "erf95")):
        percent = (epoch > 0) * ((block + 1) / BLOCKS * drift * (-1 if block == 1 else 1) + 0.3 * offset + noise(0.3))
        place = key | {"epoch": epoch, "layer": block, "metric": metric}
        layers.append(pl.DataFrame(place | {"value": BASE[metric] * (1 + percent / 100)}))
        for head in range(HEADS if metric == "entropy" else 0):
            value = BASE[metric] * (1 + (percent + (epoch > 0) * noise(0.3)) / 100)
            heads.append(pl.DataFrame(place | {"head": head, "value": value}))
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(runs).write_parquet(folder / "runs.parquet")
    for name, frames in (("epochs", epochs), ("layers", layers), ("heads", heads)):
        pl.concat(frames, how="diagonal").write_parquet(folder / f"{name}.parquet")


if __name__ == "__main__":
    for study, sizes in SIZES.items():
        write_study(Path(sys.argv[1]) / study, *sizes)
