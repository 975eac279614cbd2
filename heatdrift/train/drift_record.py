"""What a monitor measures at one step, and the run that its steps make."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from heatdrift.config import DEFAULT_STORE
from heatdrift.crop_plan import Preprocess
from heatdrift.errors import StudyError
from heatdrift.image_results import images_sha256
from heatdrift.provenance import collect
from heatdrift.records import Cell, EpochRecord, RunRecord, SourceRecord, TransferPlan, TransferRecord
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest
from heatdrift.train.external_record import METHOD, PROTOCOL


class DriftRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Drift of a model from its base at one step of a training.

    Attributes
    ----------
    means, layers, heads : probe -> value of the whole model, one per block, and a row of heads per block.
    zero_shot_pct, retention_pct : on the transfer set; None without one.
    seconds : that the measurement took.
    """

    step: int
    n_images: int
    means: Mapping[str, float | None]
    layers: Mapping[str, tuple[float | None, ...]]
    heads: Mapping[str, tuple[tuple[float | None, ...], ...]]
    zero_shot_pct: float | None = None
    retention_pct: float | None = None
    seconds: float = 0.0

    def flat(self, prefix: str = "heatdrift/") -> dict[str, float]:
        """Name -> number as trackers take them; what is not defined is left out."""
        return {prefix + name: value for name, value in self._values() if value is not None}

    def _values(self) -> Iterator[tuple[str, float | None]]:
        yield from self.means.items()
        yield "zero_shot_pct", self.zero_shot_pct
        yield "retention_pct", self.retention_pct
        for name, values in self.layers.items():
            yield from ((f"layer{number:02d}/{name}", value) for number, value in enumerate(values))


class MonitoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a monitored training, besides its steps."""

    base: str
    base_sha256: str
    images: SourceRecord
    n_images: int
    transfer: TransferPlan | None = None
    n_transfer: int = 0
    n_classes: int | None = None
    preprocess: Preprocess | None = None
    started_at: str
    device: str


def run_record(
    run: MonitoredRun, records: Sequence[DriftRecord], weights: str, labels: Mapping[str, str], *, study: str,
    total_params: int, finished_at: str,
) -> RunRecord:  # fmt: skip
    """The training as one run of method `external`, a step as an epoch.

    Parameters
    ----------
    weights : hash of the weights that were measured last; it makes the cell.
    labels : as ``measure`` takes them: lr is needed, dataset, method and seed may be given.

    Raises
    ------
    StudyError : nothing was measured but the base, or no learning rate is given.
    """
    if len(records) < 2:
        raise StudyError("the monitor has measured no step", hint="monitor.measure(model, step) before monitor.save()")
    if "lr" not in labels:
        problem = "the store's tables have a learning rate as a key, and none is given"
        raise StudyError(problem, hint='DriftMonitor(..., labels={"lr": "1e-5"})')
    cell = Cell(
        backbone=run.base,
        backbone_sha256=run.base_sha256,
        dataset=labels.get("dataset", "unnamed"),
        data_sha256=images_sha256(run.images.sha256, [str(run.n_images)]),
        protocol=PROTOCOL,
        method=labels.get("method", METHOD),
        method_spec=None,
        lr=float(labels["lr"]),
        seed=int(labels.get("seed", 0)),
        recipe=None,
        transfer=() if run.transfer is None else (run.transfer,),
        adapted_sha256=weights,
    )
    first, last = records[0], records[-1]
    provenance = msgspec.structs.replace(
        collect(),
        device=run.device,
        threads=torch.get_num_threads(),
        precision="float32",
        preprocess=run.preprocess,
        sources={"probe": run.images},
        source="DriftMonitor",
    )
    transfer: tuple[TransferRecord, ...] = ()
    if run.transfer is not None and first.zero_shot_pct is not None and last.zero_shot_pct is not None:
        transfer = (
            TransferRecord(
                transfer_set=run.transfer.name,
                n_images=run.n_transfer,
                base_pct=first.zero_shot_pct,
                adapted_pct=last.zero_shot_pct,
                n_classes=run.n_classes,
            ),
        )
    return RunRecord(
        study=study,
        cell_id=cell.cell_id,
        origin=METHOD,
        status="done",
        cell=cell,
        total_params=total_params,
        selected_epoch=last.step,
        n_probe=run.n_images,
        epochs=tuple(
            EpochRecord(
                epoch=r.step, track_zero_shot_pct=r.zero_shot_pct, means=r.means, layers=r.layers, heads=r.heads
            )
            for r in records
        ),
        transfer=transfer,
        provenance=provenance,
        started_at=run.started_at,
        finished_at=finished_at,
    )


def stored(record: RunRecord, store: Path) -> str:
    """Write a run into a store; its study and cell id.

    Parameters
    ----------
    store : the database, or the folder that holds one; made where it is not there.
    """
    database = store if store.suffix == ".duckdb" else store / DEFAULT_STORE.name
    write_record(record, database.parent)
    ingest(database)
    return f"{record.study}/{record.cell_id}"


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """Hash over names and values of weights, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
