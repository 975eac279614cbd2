"""Records made by formula: small, valid, different in every value that a test looks at."""

from collections.abc import Callable

import numpy as np
import pytest

from heatdrift.image_results import ImageResults
from heatdrift.methods import METHODS
from heatdrift.records import (
    Cell,
    EpochRecord,
    Provenance,
    Recipe,
    RobustnessRecord,
    RunRecord,
    SplitSizes,
    TransferPlan,
    TransferRecord,
)

MakeRecord = Callable[..., RunRecord]
PER_LAYER = ("entropy", "erf95", "gini", "cls_self_mass", "head_diversity", "patch_entropy")
PER_HEAD = ("entropy", "erf95", "gini", "cls_self_mass")
WHOLE = ("rollout_entropy", "rollout_erf95", "rollout_gini")


def epoch_record(number, *, step, blocks, heads):
    value = 0.5 + 0.01 * step * number
    layers = {name: tuple(value + 0.001 * (i + j) for j in range(blocks)) for i, name in enumerate(PER_LAYER)}
    means = {name: sum(v) / blocks for name, v in layers.items()} | dict.fromkeys(WHOLE, value)
    if number:
        layers |= {"cka": (*[1 - 0.01 * number] * (blocks - 1), None), "cka_debiased": (0.9,) * blocks}
        layers["map_js"] = (0.125 * number,) * blocks
        means |= {
            "cka": 0.98,
            "cka_debiased": 0.9,
            "map_js": 0.125 * number,
            "embedding_drift": 0.1 * number,
            "weight_drift": 0.01,
            "proj_drift": 0.02,
        }
    grids = {name: tuple((value,) * heads for _ in range(blocks)) for name in PER_HEAD}
    return EpochRecord(
        epoch=number,
        train_loss=1 / number if number else None,
        train_acc_pct=50.0 + number if number else None,
        val_acc_pct=60.0 + number if number else None,
        track_zero_shot_pct=50.0 - number,
        means=means,
        layers=layers,
        heads=grids | ({"map_js": ((0.125 * number,) * heads,) * blocks} if number else {}),
    )


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    def make(
        *, study="tiny", dataset="shapes", method="full_ft", lr=1e-3, seed=7, n_epochs=2, blocks=3, heads=2, **changes
    ):
        cell = Cell(
            backbone="lab",
            backbone_sha256="b" * 64,
            dataset=dataset,
            data_sha256="d" * 64,
            protocol="leakfree",
            method=method,
            method_spec=METHODS[method],
            lr=lr,
            seed=seed,
            recipe=Recipe(epochs=n_epochs, batch_size=8, sizes=SplitSizes(train=4, val=2, probe=2), data_seed=1),
            transfer=(TransferPlan(name="objects", data_sha256=None), TransferPlan(name="letters", data_sha256=None)),
        )
        step = 1 + seed % 5 + (2 if method == "full_ft" else 0)
        fields = {
            "study": study,
            "cell_id": cell.cell_id,
            "status": "done",
            "cell": cell,
            "trainable_params": 1000,
            "total_params": 5000,
            "selected_epoch": n_epochs,
            "test_acc_pct": 70.0 + seed % 5,
            "n_train": 40,
            "n_val": 20,
            "n_test": 100,
            "n_probe": 20,
            "epochs": tuple(epoch_record(n, step=step, blocks=blocks, heads=heads) for n in range(n_epochs + 1)),
            "transfer": (
                TransferRecord(transfer_set="letters", n_images=100, base_pct=40.0, adapted_pct=20.0),
                TransferRecord(transfer_set="objects", n_images=200, base_pct=50.0, adapted_pct=50.0 - 4 * step),
            ),
            "robustness": (RobustnessRecord(corruption="blur", acc_pct=55.0),),
            "provenance": Provenance(commit="abc1234", dirty=False, packages={"torch": "2.7.1"}, threads=1),
            "started_at": "2026-01-02T03:04:05+02:00",
            "finished_at": "2026-01-02T03:05:05+02:00",
            "wall_s": 60.0,
        }
        return RunRecord(**(fields | changes))

    return make


@pytest.fixture
def make_hits() -> Callable[[RunRecord], dict[str, np.ndarray]]:
    """Results of single images that give the accuracies of a record, of its first transfer set."""

    def make(record: RunRecord) -> dict[str, np.ndarray]:
        stated = record.transfer[0]
        ranks = 100.0 * np.arange(stated.n_images) / stated.n_images
        kept = ImageResults(base=ranks < stated.base_pct, adapted=ranks < stated.adapted_pct)
        return kept.arrays(stated.transfer_set)

    return make
