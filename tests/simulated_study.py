"""A small simulated study in the shape of the public views, with known effects, for tests of the statistics.

Retention falls with the learning rate, less so with LoRA; entropy drift follows a curve of its own per data set; each
seed has its own offset and its own reaction to the method. Nothing here calls heatdrift.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

LRS = (1e-6, 1e-5, 1e-4)
SEEDS = (7, 11, 19, 42)
BLOCKS, HEADS = 3, 2


@dataclass(frozen=True)
class Study:
    runs: pl.DataFrame
    epochs: pl.DataFrame
    layers: pl.DataFrame
    heads: pl.DataFrame


def simulated_study(
    *,
    datasets=("eurosat", "pets"),
    methods=("full_ft", "lora_r8"),
    lrs=LRS,
    seeds=SEEDS,
    noise=1.0,
    rng_seed=0,
) -> Study:
    rng = np.random.default_rng(rng_seed)
    offset = {s: rng.normal() for s in seeds}
    reaction = {s: rng.normal() for s in seeds}
    runs, epochs, layers, heads = [], [], [], []
    for i, (dataset, method, lr, seed) in enumerate(product(datasets, methods, lrs, seeds)):
        step = np.log10(lr / 1e-6)
        lora = method != "full_ft"
        drift = (1 - 0.6 * lora) * (1 + step)

        def value(mean, sd=1.0):
            return float(mean + noise * sd * rng.normal())

        accuracy = 95 - 4 * 0.2**step - lora - 2 * (dataset == "pets")
        run = {
            "study": "simulated",
            "cell_id": f"c1-{i:04d}",
            "protocol": "leakfree",
            "backbone": "lab",
            "dataset": dataset,
            "method": method,
            "lr": lr,
            "seed": seed,
            "status": "done",
            "selected_epoch": 2,
            "transfer_set": "cifar100",
            "retention_pct": value(100 - 12 * drift + offset[seed] + (reaction[seed] if lora else 0.0)),
            "val_acc_pct": value(accuracy, 0.5),
            "test_acc_pct": value(accuracy, 0.5),
            "delta_entropy_pct": value((1 if dataset == "eurosat" else -1) * drift + offset[seed], 0.4),
            "delta_erf95_pct": value(-2 * drift + 0.5 * offset[seed], 0.4),
            "cka": float(1 - 0.1 * drift - 0.01 * abs(noise * rng.normal())),
            "weight_drift": float(0.01 * 3**step * (0.3 if lora else 1.0) * np.exp(0.05 * noise * rng.normal())),
            "train_loss": value(1 - 0.2 * drift, 0.05),
        }
        runs.append(run)
        early = {name: 0.5 * run[name] for name in ("delta_entropy_pct", "delta_erf95_pct", "weight_drift")}
        epochs.append({"cell_id": run["cell_id"], "epoch": 1, **early, "train_loss": run["train_loss"] + 0.3})
        epochs.append({"cell_id": run["cell_id"], "epoch": 2, **early, "train_loss": run["train_loss"]})
        for epoch, block in product((0, 2), range(BLOCKS)):
            for metric, base in (("entropy", 4.0), ("cka", None)):
                moved = value((block + 1) * drift * (-1 if block == 1 else 1) + offset[seed], 0.3) if epoch else 0.0
                measured = base * (1 + moved / 100) if base else 1 - abs(moved) / 100
                row = {"cell_id": run["cell_id"], "epoch": epoch, "layer": block, "metric": metric, "value": measured}
                layers.append(row | {"base": base, "delta_pct": moved if base else None})
                if metric == "entropy":
                    for head in range(HEADS):
                        own = moved + head * noise * rng.normal()
                        of_head = {"head": head, "base": base, "value": base * (1 + own / 100), "delta_pct": own}
                        heads.append(row | of_head)
    order = ["cell_id", "epoch", "layer", "head", "metric", "value", "base", "delta_pct"]
    return Study(
        runs=pl.DataFrame(runs),
        epochs=pl.DataFrame(epochs),
        layers=pl.DataFrame(layers, infer_schema_length=None),
        heads=pl.DataFrame(heads).select(order),
    )
