"""Wrote the archives of all schemas: two data sets x two methods x two learning rates x three seeds, values by formula.

Run once with the heatdrift whose schema is to be kept: ``python tests/archives/make_archive.py FOLDER``. An archive
that is committed is never made again: it must still open.
"""

import gzip
import shutil
import sys
import tempfile
from pathlib import Path

from heatdrift.methods import METHODS
from heatdrift.records import (
    AdapterChecks,
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
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest
from heatdrift.store.migrate import latest_version

BLOCKS, HEADS, EPOCHS = 3, 2, 2


def record(dataset: int, method: str, lr: float, seed: int) -> RunRecord:
    """Return one run, every value by formula; the last of them failed."""
    push = (1 if method == "full_ft" else 0.25) * (4 if lr > 1e-4 else 1) + seed / 64
    cell = Cell(
        backbone="lab",
        backbone_sha256="0" * 64,
        dataset=("surfaces", "shapes")[dataset],
        data_sha256="1" * 64,
        protocol="leakfree",
        method=method,
        method_spec=METHODS[method],
        lr=lr,
        seed=seed,
        recipe=Recipe(epochs=EPOCHS, batch_size=8, sizes=SplitSizes(train=4, val=2, probe=2), data_seed=0),
        transfer=(TransferPlan(name="objects", data_sha256="2" * 64),),
    )
    failed = (dataset, method, lr, seed) == (1, "full_ft", 1e-3, 19)
    epochs = []
    for epoch in range(EPOCHS + 1):
        value = 1 + push * epoch / 16
        names = {"entropy": value, "erf95": value / 4, "gini": 1 - value / 8, "head_diversity": value / 2}
        layers = {name: tuple(v + i / 32 for i in range(BLOCKS)) for name, v in names.items()}
        means = {name: v + 1 / 32 for name, v in names.items()} | {"rollout_entropy": 2 * value}
        if epoch:
            layers |= {"cka": tuple(1 - push * epoch / 64 for _ in range(BLOCKS))}
            means |= {"cka": 1 - push * epoch / 64, "weight_drift": push / 128, "embedding_drift": push / 32}
        epochs.append(
            EpochRecord(
                epoch=epoch,
                train_loss=2 / epoch if epoch else None,
                train_acc_pct=50.0 + 10 * epoch if epoch else None,
                val_acc_pct=60.0 + 10 * epoch + dataset + push if epoch else None,
                track_zero_shot_pct=64 - 4 * push * epoch,
                means=means,
                layers=layers,
                heads={"entropy": tuple((value, value / 2) for _ in range(BLOCKS))},
            )
        )
    return RunRecord(
        study="archive",
        cell_id=cell.cell_id,
        status="failed" if failed else "done",
        error="out of memory" if failed else None,
        cell=cell,
        trainable_params=1000 if method == "full_ft" else 100,
        total_params=2000,
        selected_epoch=None if failed else EPOCHS,
        test_acc_pct=None if failed else 75 + 2 * push,
        n_train=40,
        n_val=20,
        n_test=100,
        n_probe=20,
        epochs=() if failed else tuple(epochs),
        transfer=()
        if failed
        else (TransferRecord(transfer_set="objects", n_images=200, base_pct=64.0, adapted_pct=64 - 8 * push),),
        robustness=() if failed else (RobustnessRecord(corruption="blur", acc_pct=50.0),),
        checks=AdapterChecks(live_max_diff=0.5, off_max_diff=0.0) if method != "full_ft" else None,
        provenance=Provenance(
            commit="0000000", dirty=False, packages={"torch": "2.7.1"}, python="3.11.7", device="cpu", threads=1
        ),
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        wall_s=60.0,
    )


def main(folder: Path) -> None:
    """Write schemaNNNN.duckdb.gz and one record.json of the present format into `folder`."""
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "heatdrift.duckdb"
        for dataset in (0, 1):
            for method in ("full_ft", "lora_r8"):
                for lr in (1e-4, 1e-3):
                    for seed in (7, 11, 19):
                        written = write_record(record(dataset, method, lr, seed), store.parent)
        ingest(store)
        packed = gzip.compress(store.read_bytes(), mtime=0)  # an all but empty DuckDB file is 2.6 MB of zeros
        (folder / f"schema{latest_version():04d}.duckdb.gz").write_bytes(packed)
        shutil.copyfile(written.path, folder / "record_format1.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
