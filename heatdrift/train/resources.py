"""What the cells of a study share inside one process: backbone, crops, class embeddings, the base's measurements.

Everything is loaded when the first cell asks for it and kept: a worker trains many cells of one study, and the base is
the same for all cells of a data set.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heatdrift.chance import ZeroShotBase
from heatdrift.config import BackboneSpec, DatasetSpec, SourceSpec, StudySpec, TransferSpec
from heatdrift.corruption_plan import CorruptionPlan
from heatdrift.crop_plan import CropPlan
from heatdrift.data.crop_cache import kept_corrupted, kept_crops
from heatdrift.data.images import LabelledImages
from heatdrift.data.prompts import templates_of
from heatdrift.data.sources import open_source
from heatdrift.data.splits import ProbeDraw, batch_of_each
from heatdrift.image_results import images_sha256
from heatdrift.model.backbone import Backbone, load_backbone
from heatdrift.plan.unlabelled import seen_by
from heatdrift.probes.collector import Measured
from heatdrift.probes.transfer import accuracy_pct as hit_pct
from heatdrift.records import Cell, SourceRecord, TransferPlan
from heatdrift.train.device import on_device
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.fast_paths import FastPaths
from heatdrift.train.inputs import (
    open_corrupted,
    open_target,
    page_names,
    split_target,
    transfer_names,
    transfer_positions,
)
from heatdrift.train.interrupt import Interruption
from heatdrift.train.loop import Normaliser, PixelSet
from heatdrift.train.step_choice import Compile
from heatdrift.train.unlabelled import refuse_shared

GALLERY_IMAGES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetData:
    """One target data set, split and cropped, and how the base looks on its probe set.

    ``test`` is None where the protocol leaves no untouched test images. ``probe_positions`` are positions of the probe
    images in the source that they come from; ``probe_groups`` (n,) batches over which probes are averaged first, None =
    over all images alike; ``gallery_sha256`` hashes of the crops of the first ones, whose maps are kept.
    """

    train: PixelSet
    val: PixelSet
    probe: PixelSet
    probe_groups: Tensor | None
    test: PixelSet | None
    class_names: tuple[str, ...]
    split_sha256: str
    probe_positions: NDArray[np.int64]
    gallery: NDArray[np.int64]
    gallery_sha256: tuple[str, ...]
    base: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferData:
    """One transfer set: images, text embeddings, and the class that the base gives to each image.

    ``track`` are positions (into `pixels`) of the subset evaluated after every epoch; empty without tracking.
    ``images`` is a hash of which images they are, in their order.
    """

    plan: TransferPlan
    pixels: PixelSet
    text: Tensor
    class_names: tuple[str, ...]
    track: NDArray[np.int64]
    base_class: NDArray[np.int64]
    images: str

    @property
    def base_hits(self) -> NDArray[np.bool_]:
        """Whether the base is right, image by image."""
        hits: NDArray[np.bool_] = self.base_class == self.pixels.labels.numpy()
        return hits

    @property
    def base(self) -> ZeroShotBase:
        """Accuracy of the base next to chance."""
        return ZeroShotBase(
            base_pct=hit_pct(self.base_hits), n_images=len(self.base_hits), n_classes=len(self.class_names)
        )

    @property
    def tracked(self) -> PixelSet:
        """The tracking subset."""
        rows = torch.from_numpy(self.track)
        return PixelSet(crops=self.pixels.crops[rows], labels=self.pixels.labels[rows])


@dataclass(slots=True, kw_only=True)
class Resources:
    """Loaded things of one study in one process; give the same object to every :func:`run_cell`.

    ``crop_folder`` keeps crops (``data/crop_cache.py``), None keeps none. ``on_crops`` is called with a source, the
    pictures done and those in all while crops are made; ``on_problem`` with what went otherwise than asked. ``compile``
    says which steps may train (``step_choice.py``), ``eval_bfloat16`` whether models are measured in bfloat16;
    ``interruption`` is looked at between steps and between batches.
    """

    backbone_spec: BackboneSpec
    datasets: Mapping[str, DatasetSpec]
    transfers: Mapping[str, TransferSpec]
    protocol: str
    data_seed: int
    folder: Path
    device: torch.device
    unlabelled_sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    skip_unreadable: bool = False
    probe_draw: ProbeDraw = "data_seed"
    probe_mean: Literal["images", "batches_32"] = "images"
    crop_plan: CropPlan = field(default_factory=CropPlan)
    crop_folder: Path | None = None
    compile: Compile = "off"
    eval_bfloat16: bool = False
    on_crops: Callable[[str, int, int], object] = lambda _what, _done, _total: None
    on_problem: Callable[[str], object] = lambda _problem: None
    interruption: Interruption = field(default_factory=Interruption)
    sources: dict[str, SourceRecord] = field(default_factory=dict)
    _backbone: Backbone | None = None
    _evaluation: Evaluation | None = None
    _targets: dict[str, TargetData] = field(default_factory=dict)
    _transfers: dict[str, TransferData] = field(default_factory=dict)
    _test_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _corrupted: dict[tuple[str, str], PixelSet] = field(default_factory=dict)
    _unlabelled: dict[str, PixelSet] = field(default_factory=dict)
    fast: FastPaths = field(init=False)

    def __post_init__(self) -> None:
        self.fast = FastPaths(self)

    @classmethod
    def of(
        cls, study: StudySpec, folder: Path, device: torch.device, *, crop_folder: Path | None = None
    ) -> "Resources":
        """Resources of `study`, whose relative paths lie in `folder`; crops are kept in `crop_folder`."""
        return cls(
            backbone_spec=study.backbone,
            datasets=study.datasets,
            transfers=study.transfer,
            unlabelled_sources=study.unlabelled_sources,
            protocol=study.protocol,
            data_seed=study.train.data_seed,
            folder=folder,
            device=device,
            skip_unreadable=study.train.skip_unreadable,
            probe_draw=study.train.probe_draw,
            probe_mean=study.train.probe_mean,
            crop_plan=study.preprocess,
            crop_folder=crop_folder,
            eval_bfloat16=study.train.eval_precision == "bfloat16",
        )

    @property
    def backbone(self) -> Backbone:
        """The pretrained model, with the preprocessing of the study."""
        if self._backbone is None:
            loaded = load_backbone(self.backbone_spec, self.folder, self.device)
            self._backbone = replace(loaded, preprocess=loaded.preprocess.changed(self.crop_plan))
            self.sources["backbone"] = self._backbone.read
        return self._backbone

    @property
    def normalise(self) -> Normaliser:
        """The backbone's normalisation."""
        return Normaliser.of(self.backbone.preprocess, self.device)

    @property
    def evaluation(self) -> Evaluation:
        """How models are measured here."""
        if self._evaluation is None:
            self._evaluation = Evaluation(
                normalise=self.normalise,
                bfloat16=self.eval_bfloat16,
                on_problem=lambda problem: self.on_problem(problem),  # noqa: PLW0108  it may be set later
                between=lambda: self.interruption.check(),  # noqa: PLW0108  the same
            )
        return self._evaluation

    def target(self, name: str) -> TargetData:
        """Splits, crops and base measurements of a target data set."""
        if name not in self._targets:
            self._targets[name] = self._load_target(name, self.datasets[name])
        return self._targets[name]

    def transfer(self, plan: TransferPlan) -> TransferData:
        """Images, text embeddings and base hits of a transfer set."""
        if plan.name not in self._transfers:
            self._transfers[plan.name] = self._load_transfer(plan, self.transfers[plan.name])
        return self._transfers[plan.name]

    def corrupted(self, dataset: str, plan: CorruptionPlan) -> PixelSet:
        """Test images of a target data set under a corruption."""
        key = (dataset, plan.name)
        if key not in self._corrupted:
            self._corrupted[key] = self._load_corrupted(dataset, plan)
        return self._corrupted[key]

    def unlabelled(self, cell: Cell) -> PixelSet | None:
        """Images without labels that a cell's method sees besides its training images; None = no others.

        Raises
        ------
        DataError : one of them is an image of a transfer set, whatever source it came from.
        """
        assert cell.method_spec is not None
        name = seen_by(cell.method_spec)
        if name is None:
            return None
        if name not in self._unlabelled:
            images = open_source(self.unlabelled_sources[name], self.folder, skip_unreadable=self.skip_unreadable)
            self.sources[f"unlabelled/{name}"] = _record(images)
            pixels = self._pixels(images, np.arange(len(images)))
            for plan in cell.transfer:
                refuse_shared(name, pixels.crops, plan.name, self.transfer(plan).pixels.crops)
            self._unlabelled[name] = pixels
        return self._unlabelled[name]

    def measure(self, tower: nn.Module, pixels: PixelSet, keep: int, groups: Tensor | None = None) -> Measured:
        """All measurements of a tower on `pixels`, keeping the maps of the first `keep` images."""
        return self.evaluation.measure(tower, pixels, keep, groups)

    def sources_of(self, dataset: str, further: Iterable[str]) -> dict[str, SourceRecord]:
        """What was read for a cell: backbone, both splits of its data set, and `further` (transfer sets and others)."""
        wanted = ("backbone", f"{dataset}/train", f"{dataset}/test", *further)
        return {name: self.sources[name] for name in wanted}

    def _load_target(self, name: str, spec: DatasetSpec) -> TargetData:
        source, test = open_target(spec, self.folder, data_seed=self.data_seed, skip_unreadable=self.skip_unreadable)
        made = (
            ""
            if spec.test is not None
            else f" ({spec.test_fraction} of each class apart as test, data seed {self.data_seed})"
        )
        self.sources |= {f"{name}/train": _record(source, made), f"{name}/test": _record(test, made)}
        self._test_names[name] = test.class_names
        draw = self.probe_draw
        splits = split_target(
            name, spec, source, test, protocol=self.protocol, data_seed=self.data_seed, probe_draw=draw
        )
        held_out = test if splits.held_out == "test" else source
        # One image of each of the first classes leads the probe set, so that the gallery shows different things.
        first = np.unique(held_out.labels[splits.probe], return_index=True)[1][:GALLERY_IMAGES]
        probe = np.concatenate([splits.probe[first], np.delete(splits.probe, first)])
        pixels = self._pixels(held_out, probe)
        groups = None
        if self.probe_mean == "batches_32":
            assert splits.drawn is not None  # plan/study.py: it needs the published draw
            groups = torch.from_numpy(batch_of_each(splits.drawn, probe))
        return TargetData(
            train=self._pixels(source, splits.train),
            val=self._pixels(held_out, splits.val),
            probe=pixels,
            probe_groups=groups,
            test=None if splits.held_out == "test" else self._pixels(test, np.arange(len(test))),
            class_names=page_names(spec, source, self.folder),
            split_sha256=splits.sha256,
            probe_positions=probe,
            gallery=probe[: len(first)],
            gallery_sha256=tuple(_crop_sha256(crop) for crop in pixels.crops[: len(first)]),
            base=self.measure(self.backbone.visual, pixels, keep=len(first), groups=groups),
        )

    def _load_corrupted(self, dataset: str, plan: CorruptionPlan) -> PixelSet:
        test, spec = self.target(dataset), self.datasets[dataset]
        if plan.kind is None or plan.severity is None:
            names, skip = self._test_names[dataset], self.skip_unreadable
            images = open_corrupted(dataset, spec, plan.name, names, self.folder, skip_unreadable=skip)
            self.sources[f"{dataset}/{plan.name}"] = _record(images)
            return self._pixels(images, np.arange(len(images)))
        assert test.test is not None  # plan/study.py: corruptions need a protocol with untouched test images
        found = kept_corrupted(
            test.test.crops.cpu().numpy(),
            plan.kind,
            plan.severity,
            self.crop_folder,
            report=lambda done: self.on_crops(f"{dataset} under {plan.name}", done, len(test.test or ())),
            on_problem=self.on_problem,
        )
        return PixelSet(crops=torch.from_numpy(found), labels=test.test.labels)

    def _load_transfer(self, plan: TransferPlan, spec: TransferSpec) -> TransferData:
        images = open_source(spec.test_source, self.folder, skip_unreadable=self.skip_unreadable)
        self.sources[plan.name] = _record(images)
        chosen, track = transfer_positions(plan.name, images, plan.n_images, plan.track, data_seed=self.data_seed)
        pixels = self._pixels(images, chosen)
        names = transfer_names(spec, images, self.folder, plan=plan)
        templates = templates_of(plan.prompts)
        text = self.backbone.class_embeddings(names, templates if len(templates) > 1 else templates[0])
        return TransferData(
            plan=plan,
            pixels=pixels,
            text=text,
            class_names=names,
            track=track,
            base_class=self.evaluation.classes(self.backbone.visual, pixels, text),
            images=images_sha256(images.sha256, chosen.tolist()),
        )

    def _pixels(self, images: LabelledImages, positions: NDArray[np.int64]) -> PixelSet:
        found = kept_crops(
            images,
            positions,
            self.backbone.preprocess,
            self.crop_folder,
            report=lambda done: self.on_crops(images.source, done, len(positions)),
            on_problem=self.on_problem,
        )
        return PixelSet(
            crops=on_device(torch.from_numpy(found), self.device), labels=torch.from_numpy(images.labels[positions])
        )


def _record(images: LabelledImages, made: str = "") -> SourceRecord:
    """What was read; `made` says how one source became two splits."""
    return SourceRecord(
        source=images.source + made,
        sha256=images.sha256,
        revision=images.revision,
        n_images=len(images),
        skipped=images.skipped,
    )


def _crop_sha256(crop: Tensor) -> str:
    return hashlib.sha256(crop.cpu().numpy().tobytes()).hexdigest()
