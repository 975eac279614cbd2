"""What a study needs before anything trains: weights and images are here, and hold as many images as it asks for.

Torch-free: the command line asks before it starts a worker, and workers split by the same functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatdrift.config import DatasetSpec, SourceSpec, StudySpec
from heatdrift.data.images import LabelledImages
from heatdrift.data.sources import open_source
from heatdrift.data.splits import ProbeDraw, Splits, balanced_subset, leakfree_splits, preprint_splits
from heatdrift.errors import DataError
from heatdrift.model.download import absent_files, missing_weights, where_weights
from heatdrift.model.identity import is_tag


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCounts:
    """Images that a cell of one data set passes; `transfer` and `tracked` over all its transfer sets."""

    train: int
    val: int
    probe: int
    test: int
    transfer: int
    tracked: int


def check_inputs(study: StudySpec, folder: Path, datasets: Iterable[str]) -> None:
    """Open what the cells of `datasets` need and split it as the study says; nothing is decoded.

    With ``skip_unreadable`` the images are not looked at: which ones count is known only after all are decoded.

    Raises
    ------
    DataError, ModelError : something is missing, changed or too small; the message names data set, class and key.
    """
    if where_weights(study.backbone, folder) is None:
        find = missing_weights if is_tag(study.backbone) else absent_files
        raise find(study.backbone, folder)
    if study.train.skip_unreadable:
        return
    for name in dict.fromkeys(datasets):
        spec = study.datasets[name]
        source, test = (open_source(_spelled(s), folder) for s in (spec.train, spec.test))
        seed, draw = study.train.data_seed, study.train.probe_draw
        split_target(name, spec, source, test, protocol=study.protocol, data_seed=seed, probe_draw=draw)
    for name, transfer in study.transfer.items():
        images = open_source(_spelled(transfer.test), folder)
        transfer_positions(name, images, transfer.n_images, transfer.track, data_seed=study.train.data_seed)


def image_counts(study: StudySpec, folder: Path, datasets: Iterable[str]) -> dict[str, ImageCounts]:
    """Return data set -> its images; nothing is decoded.

    Raises
    ------
    DataError : images are missing, changed or too few.
    """
    seed, transfer, tracked = study.train.data_seed, 0, 0
    for place, (name, given) in enumerate(study.transfer.items()):
        images = open_source(_spelled(given.test), folder)
        chosen, track = transfer_positions(name, images, given.n_images, given.track, data_seed=seed)
        transfer += len(chosen)
        tracked += len(track) if place == 0 else 0  # the first one is tracked
    found = {}
    for name in dict.fromkeys(datasets):
        spec = study.datasets[name]
        source, test = (open_source(_spelled(s), folder) for s in (spec.train, spec.test))
        splits = split_target(
            name, spec, source, test, protocol=study.protocol, data_seed=seed, probe_draw=study.train.probe_draw
        )
        found[name] = ImageCounts(
            train=len(splits.train),
            val=len(splits.val),
            probe=len(splits.probe),
            test=0 if splits.held_out == "test" else len(test),
            transfer=transfer,
            tracked=tracked,
        )
    return found


def split_target(
    name: str,
    spec: DatasetSpec,
    source: LabelledImages,
    test: LabelledImages,
    *,
    protocol: str,
    data_seed: int,
    probe_draw: ProbeDraw = "data_seed",
) -> Splits:
    """Split the data set `name` by its protocol.

    Raises
    ------
    DataError : its two splits do not have the same classes, or a class has too few images.
    """
    if source.class_names != test.class_names:
        problem = f"data set {name!r}: {source.source} and {test.source} do not have the same classes"
        raise DataError(problem, hint="give two splits of one data set")
    key = f"[datasets.{name}] sizes"
    if protocol == "preprint":
        where = f"data set {name!r} ({test.source})"
        return preprint_splits(
            source.labels,
            test.labels,
            spec.sizes,
            data_seed=data_seed,
            source=where,
            names=test.class_names,
            key=key,
            draw=probe_draw,
        )
    where = f"data set {name!r} ({source.source})"
    return leakfree_splits(
        source.labels, spec.sizes, data_seed=data_seed, source=where, names=source.class_names, key=key
    )


def transfer_positions(
    name: str, images: LabelledImages, n_images: int | None, n_tracked: int | None, *, data_seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of a transfer set's images in their source, and those of the tracked ones among them.

    Raises
    ------
    DataError : ``n_images`` or ``track`` is more than there is, or too much for the smallest class.
    """
    where = f"transfer set {name!r} ({images.source})"
    names, key = images.class_names, f"in [transfer.{name}]"
    chosen = balanced_subset(
        images.labels, n_images, data_seed=data_seed, source=where, names=names, key=f"n_images {key}"
    )
    track = np.empty(0, dtype=np.int64)
    if n_tracked:
        track = balanced_subset(
            images.labels[chosen], n_tracked, data_seed=data_seed, source=where, names=names, key=f"track {key}"
        )
    return chosen, track


def _spelled(source: SourceSpec | str) -> SourceSpec:
    return SourceSpec(source=source) if isinstance(source, str) else source
