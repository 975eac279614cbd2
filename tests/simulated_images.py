"""Results of single images for simulated runs, with known effects. Nothing here calls heatdrift but for the file names.

The base is right on an image with a chance that differs between images. Adaptation lowers it with the learning rate,
more under full fine-tuning, which above all forgets the first class and takes it for the second.
"""

from itertools import count

import numpy as np
import polars as pl

N_IMAGES, CLASSES = 360, ("apple", "bear", "chair", "dolphin", "elm", "fox")
LOSS = {"full_ft": 0.9, "lora_r8": 0.25}  # log-odds per step of learning rate
FORGOTTEN = 3.0  # further log-odds that full fine-tuning takes from the first class


def simulated_images(runs: pl.DataFrame, *, n=N_IMAGES, classes=CLASSES, seed_sd=0.15, rng_seed=0, kept=True):
    """Cell id -> arrays of hits.npz for `runs` (transfer set cifar100); without `kept` hits alone, as in old files."""
    rng = np.random.default_rng(rng_seed)
    label = np.sort(np.arange(n) % len(classes))
    ability = 0.8 + 1.5 * rng.normal(size=n)
    base = predictions(ability, label, len(classes), rng)
    effects: dict[tuple, float] = {}
    found = {}
    lowest = runs["lr"].min()
    for run in runs.iter_rows(named=True):
        key = run["seed"], run["method"]
        effects.setdefault(key, seed_sd * rng.normal())
        steps = 1 + np.log10(run["lr"] / lowest)
        loss = LOSS.get(run["method"], 0.5) * steps + effects[key]
        forgotten = FORGOTTEN * (run["method"] == "full_ft") * (label == 0)
        adapted = predictions(ability - loss - forgotten, label, len(classes), rng)
        arrays = {"base": base == label, "adapted": adapted == label}
        if kept:
            arrays |= {"class": label.astype(np.uint8), "base_class": base, "adapted_class": adapted}
            arrays |= {"class_names": np.array(classes), "images": np.array("these images")}
        found[run["cell_id"]] = {f"cifar100/{name}": values for name, values in arrays.items()}
    return found


def predictions(logit, label, n_classes, rng):
    """A class per image: its own with the chance of `logit`, else the next one in most cases."""
    right = rng.random(label.size) < 1 / (1 + np.exp(-logit))
    step = np.where(rng.random(label.size) < 0.7, 1, rng.integers(1, n_classes, label.size))
    return np.where(right, label, (label + step) % n_classes).astype(np.uint8)


def balanced(methods=("full_ft", "lora_r8"), lrs=(1e-5, 1e-4), seeds=(1, 2, 3), datasets=("eurosat",)) -> pl.DataFrame:
    """Runs with the columns that the question reads."""
    number = count()
    rows = [
        {"study": "s", "cell_id": f"c1-{next(number):04d}", "status": "done", "dataset": d, "method": m, "lr": lr,
         "seed": s, "transfer_set": "cifar100"}
        for d in datasets for m in methods for lr in lrs for s in seeds
    ]  # fmt: skip
    return pl.DataFrame(rows)
