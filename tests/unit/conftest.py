"""For all unit tests: a small grid of runs in the shape of the view `runs`, and a tiny backbone with pixels for it."""

from collections.abc import Callable
from itertools import product

import numpy as np
import polars as pl
import pytest
import stubs
import torch

from heatdrift.model.backbone import load_backbone

LRS = (1e-6, 5e-6, 1e-5, 5e-5)


def build_runs(
    *,
    datasets: tuple[str, ...] = ("eurosat", "pets"),
    methods: tuple[str, ...] = ("full_ft", "lora_r8"),
    lrs: tuple[float, ...] = LRS,
    seeds: tuple[int, ...] = (7, 11, 19, 42, 123),
    method_effect: float = 0.0,
    seed_sd: float = 0.2,
    seed_method_sd: float = 0.0,
    noise: float = 0.157,
    rng_seed: int = 0,
) -> pl.DataFrame:
    rng = np.random.default_rng(rng_seed)
    by_seed = {s: seed_sd * rng.normal() for s in seeds}
    by_seed_method = {(s, m): seed_method_sd * rng.normal() for s in seeds for m in methods}
    rows = []
    for i, (dataset, method, lr, seed) in enumerate(product(datasets, methods, lrs, seeds)):
        value = (
            2.0
            + (method != "full_ft") * method_effect
            + np.log10(lr / 1e-6)
            + by_seed[seed]
            + by_seed_method[seed, method]
            + noise * rng.normal()
        )
        rows.append(
            {
                "study": "s",
                "cell_id": f"c1-{i:04d}",
                "protocol": "leakfree",
                "backbone": "lab",
                "dataset": dataset,
                "method": method,
                "lr": lr,
                "seed": seed,
                "status": "done",
                "epochs": 6,
                "delta_entropy_pct": value,
                "retention_pct": 100.0 - 5.0 * value + rng.normal(),
                "transfer_set": "cifar100",
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture
def make_runs() -> Callable[..., pl.DataFrame]:
    return build_runs


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """The tiny backbone, as a study loads it. Not to be changed: ``adapt`` copies its tower."""
    folder = tmp_path_factory.mktemp("backbone")
    return load_backbone(stubs.write_tiny_backbone(folder), folder, torch.device("cpu"))


@pytest.fixture(scope="session")
def pixels():
    return torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(3))
