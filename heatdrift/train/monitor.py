"""DriftMonitor: how far a model has moved from its base, measured inside any training loop."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import torch
from torch import Tensor, nn

from heatdrift.crop_plan import Preprocess
from heatdrift.data.transforms import crops
from heatdrift.data.unlabelled import FEWEST, chosen_pictures, open_pictures
from heatdrift.errors import DataError, ModelError, StudyError
from heatdrift.model.checkpoints import open_base
from heatdrift.model.tower_weights import BaseWeights, acting_weights, check_same
from heatdrift.model.towers import Tower, find_tower
from heatdrift.probes.collector import Measured, measure
from heatdrift.probes.compare import probe_values
from heatdrift.probes.transfer import accuracy_pct, zero_shot_classes
from heatdrift.provenance import utc_now
from heatdrift.records import SourceRecord
from heatdrift.train.drift_record import DriftRecord, MonitoredRun, run_record, stored, weights_sha256
from heatdrift.train.drift_sinks import Sink
from heatdrift.train.evaluate import EVAL_BATCH, PROBE_BATCH
from heatdrift.train.external import STUDY, checked_labels
from heatdrift.train.external_transfer import ForeignTransfer, open_transfer
from heatdrift.train.loop import Normaliser

MONITOR_IMAGES: Final = 20  # tests/benchmarks/bench_monitor.py
_SEED: Final = 0  # draws the images
_OF_CLASS_TOKEN: Final = ("cls_self_mass",)  # not defined for a tower without one


class DriftMonitor:
    """Measure a model against its base while it trains; the model and its random numbers are left as they are.

    Parameters
    ----------
    base : as ``measure`` takes it (lab, MODEL/TAG, a path), or the model itself before it is trained.
    images : pictures without labels (folder, Parquet file, source string), or normalised pixels (n, 3, size, size).
    every : steps between two measurements of :meth:`step`.
    transfer : labelled source for zero-shot with the base's text tower; the base must be given by name or path.
    n_images, n_transfer : images drawn; of the latter equally from all classes, None = all.
    preprocess : of a base that is a model, where it does not say it and `images` are pictures.
    labels : dataset, method, lr and seed of the training, for the store.
    store : folder or database that :meth:`save` writes to.
    sinks : where each record goes: see ``heatdrift.train.drift_sinks``.

    Attributes
    ----------
    records : what was measured, in order; the first is the base, step 0.

    Raises
    ------
    ModelError : no base, no vision transformer in it, or attention that cannot be read.
    DataError : no images, too few, or of another size.

    Examples
    --------
    >>> import heatdrift
    >>> import torch, open_clip
    >>> model = open_clip.create_model("ViT-S-32-alt")  # yours, before it is trained
    >>> monitor = heatdrift.DriftMonitor(model, torch.zeros(8, 3, 224, 224))  # or a folder of pictures
    >>> round(monitor.measure(model, step=100).means["embedding_drift"], 6)  # in your own loop
    0.0
    """

    def __init__(
        self,
        base: str | Path | nn.Module,
        images: str | Path | Tensor,
        *,
        every: int = 1,
        transfer: str | None = None,
        n_images: int = MONITOR_IMAGES,
        n_transfer: int | None = None,
        template: str = "a photo of a {}.",
        class_names: str | None = None,
        preprocess: Preprocess | None = None,
        config: str | None = None,
        labels: Mapping[str, str] | None = None,
        study: str = STUDY,
        store: str | Path | None = None,
        sinks: Sequence[Sink] = (),
        device: str = "cpu",
        folder: Path | None = None,
    ) -> None:
        if every < 1:
            raise StudyError(f"every is {every}", hint="every=100 measures at each hundredth step")
        self.every, self.study, self.sinks = every, study, tuple(sinks)
        self.labels, self.store = checked_labels(labels or {}), None if store is None else Path(store)
        where, started = folder or Path(), utc_now()
        self._held: ForeignTransfer | None = None
        self._text: Tensor | None = None
        if isinstance(base, nn.Module):
            if transfer is not None:
                hint = 'DriftMonitor("ViT-B-32-quickgelu/openai", ...), or the path of its weights'
                raise ModelError("zero-shot needs the base's text tower: give the base by name or path", hint=hint)
            model, found, name = base, preprocess or _stated(base), type(base).__name__
        else:
            backbone = open_base(base, config=config, folder=where, device=torch.device(device))
            model, found, name = backbone.visual, backbone.preprocess, backbone.name
            if transfer is not None:
                self._held = open_transfer(
                    transfer, backbone, where, template=template, class_names=class_names, n=n_transfer, skip=False
                )
                self._text = backbone.class_embeddings(self._held.names, template)
        self._preprocess = found
        self._pixels, source = _pixels(images, found, where, n_images)
        tower = find_tower(model)
        self._weights = BaseWeights.of(acting_weights(tower), tower.projection)
        clock = time.perf_counter()
        with _evaluating(tower.module):
            self._base = self._measured(tower)
            zero_shot = self._zero_shot(tower)
        self._last = self._weights.weights
        first = self._record(0, self._base, self._last, zero_shot, zero_shot, tower.prefix, clock)
        self.records: list[DriftRecord] = [first]
        self._run = MonitoredRun(
            base=name, base_sha256=weights_sha256(self._last), images=source, n_images=len(self._pixels),
            transfer=None if self._held is None else self._held.plan,
            n_transfer=0 if self._held is None else len(self._held.pixels),
            n_classes=None if self._held is None else len(self._held.names),
            preprocess=found, started_at=started, device=device,
        )  # fmt: skip

    def step(self, model: nn.Module, step: int) -> DriftRecord | None:
        """Measure if `step` is a multiple of `every` and was not measured yet; else do nothing."""
        due = step > 0 and step % self.every == 0 and self.records[-1].step != step
        return self.measure(model, step) if due else None

    def measure(self, model: nn.Module, step: int) -> DriftRecord:
        """Measure a model at a step, keep the record and hand it to the sinks.

        Raises
        ------
        ModelError : the model is not of the base's architecture, or its attention cannot be read.
        StudyError : the step is not after the last one.
        ProbeError : its weights are in half precision.
        """
        if step <= self.records[-1].step:
            problem = f"step {step} comes after step {self.records[-1].step}"
            raise StudyError(problem, hint="steps count from 1 and grow; the base is step 0")
        clock = time.perf_counter()
        tower = find_tower(model)
        self._last = acting_weights(tower)
        base_pct = self.records[0].zero_shot_pct
        check_same(self._weights.weights, self._last)  # before images are used
        with _evaluating(tower.module):
            measured, zero_shot = self._measured(tower), self._zero_shot(tower)
        record = self._record(step, measured, self._last, base_pct, zero_shot, tower.prefix, clock)
        self.records.append(record)
        for sink in self.sinks:
            sink.log(record.flat(), step)
        return record

    def save(self, store: str | Path | None = None, **labels: str) -> str:
        """Write all steps as one run of method `external` into a store; its study and cell id.

        Parameters
        ----------
        labels : of the training, where the monitor was not given them: ``lr="1e-5"``.
        """
        place = self.store if store is None else Path(store)
        if place is None:
            raise StudyError("the monitor knows no store", hint='monitor.save("runs")')
        total = sum(weight.numel() for weight in self._last.values())
        record = run_record(
            self._run, self.records, weights_sha256(self._last), checked_labels({**labels, **self.labels}),
            study=self.study, total_params=total, finished_at=utc_now(),
        )  # fmt: skip
        return stored(record, place)

    def _measured(self, tower: Tower) -> Measured:
        return measure(tower.module, self._batches(tower.module), tower.observed, parts=tower)

    def _batches(self, tower: nn.Module) -> Iterator[Tensor]:
        device = next(tower.parameters()).device
        for part in torch.split(self._pixels, PROBE_BATCH):
            yield _normalised(part, self._preprocess, device)

    def _zero_shot(self, tower: Tower) -> float | None:
        if self._held is None or self._text is None:
            return None
        device = next(tower.module.parameters()).device
        batches = (_normalised(p, self._preprocess, device) for p in torch.split(self._held.pixels.crops, EVAL_BATCH))
        classes = zero_shot_classes(lambda pixels: tower.embed(pixels).float(), batches, self._text.to(device))
        return accuracy_pct(classes == self._held.pixels.labels.numpy())

    def _record(
        self, step: int, measured: Measured, weights: dict[str, Tensor], base_pct: float | None,
        zero_shot: float | None, prefix: int, clock: float,
    ) -> DriftRecord:  # fmt: skip
        values = probe_values(self._base, measured, weights=self._weights.moved(weights))
        left_out = () if prefix else _OF_CLASS_TOKEN
        return DriftRecord(
            step=step,
            n_images=len(self._pixels),
            means={name: value for name, value in values.means.items() if name not in left_out},
            layers={name: value for name, value in values.layers.items() if name not in left_out},
            heads={name: value for name, value in values.heads.items() if name not in left_out},
            zero_shot_pct=zero_shot,
            retention_pct=100 * zero_shot / base_pct if zero_shot is not None and base_pct else None,
            seconds=time.perf_counter() - clock,
        )


@contextmanager
def _evaluating(tower: nn.Module) -> Iterator[None]:
    """Evaluation mode in all modules, and afterwards each as it was; no autocast of the loop around it."""
    modes = [(module, module.training) for module in tower.modules()]
    tower.eval()
    try:
        with torch.autocast(next(tower.parameters()).device.type, enabled=False):
            yield
    finally:
        for module, training in modes:
            module.training = training


def _normalised(part: Tensor, preprocess: Preprocess | None, device: torch.device) -> Tensor:
    if part.dtype != torch.uint8 or preprocess is None:
        return part.to(device)
    return Normaliser.of(preprocess, device)(part)


def _pixels(
    images: str | Path | Tensor, preprocess: Preprocess | None, folder: Path, n: int
) -> tuple[Tensor, SourceRecord]:
    """Pixels of the images: as they were given, or 8-bit crops."""
    if isinstance(images, Tensor):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            problem = f"images are {images.dtype} of shape {tuple(images.shape)}, not float (n, 3, size, size)"
            raise DataError(problem, hint="torch.stack([preprocess(picture) for picture in pictures])")
        if len(images) < FEWEST:
            raise DataError(f"{len(images)} images are too few", hint=f"probes need {FEWEST} at least")
        kept = images[:n].detach().cpu().float().clone()
        sha256 = weights_sha256({"images": kept})
        return kept, SourceRecord(source="pixels", sha256=sha256, n_images=len(kept))
    if preprocess is None:
        hint = "images=torch.stack([preprocess(picture) for picture in pictures]), or preprocess=Preprocess(...)"
        raise DataError("the base does not say how pictures are cropped and normalised", hint=hint)
    pictures = open_pictures(str(images), folder)
    chosen = chosen_pictures(pictures, n, _SEED)
    source = SourceRecord(source=pictures.source, sha256=pictures.sha256, n_images=len(pictures))
    return torch.from_numpy(crops(pictures, chosen, preprocess)), source


def _stated(model: nn.Module) -> Preprocess | None:
    """Preprocessing that an open_clip model carries; None where it carries none."""
    said: Any = getattr(getattr(model, "visual", model), "preprocess_cfg", None)
    if not isinstance(said, dict) or said.get("resize_mode", "shortest") != "shortest":
        return None
    size = said.get("size")
    known = {name: value for name, value in said.items() if name in Preprocess.__struct_fields__}
    known["size"] = max(size) if isinstance(size, tuple | list) else size
    return msgspec.convert(known, type=Preprocess)
