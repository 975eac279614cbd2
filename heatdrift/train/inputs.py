"""What a study needs before anything trains: weights and images are here, and hold as many images as it asks for.

Torch-free: the command line asks before it starts a worker, and workers split by the same functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatdrift.config import DatasetSpec, StudySpec, TransferSpec
from heatdrift.data.chosen import with_made_test
from heatdrift.data.class_names import prompt_names
from heatdrift.data.images import LabelledImages, listed
from heatdrift.data.names_file import is_names_file, names_file_identity
from heatdrift.data.prompts import name_caution, templates_of
from heatdrift.data.sources import open_source
from heatdrift.data.splits import ProbeDraw, Splits, balanced_subset, leakfree_splits, preprint_splits
from heatdrift.errors import DataError
from heatdrift.model.download import absent_files, missing_weights, where_weights
from heatdrift.model.identity import is_tag
from heatdrift.records import TransferPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCounts:
    """Images that a cell of one data set passes; `transfer` and `tracked` over all its transfer sets."""

    train: int
    val: int
    probe: int
    test: int
    transfer: int
    tracked: int


def check_inputs(study: StudySpec, folder: Path, datasets: Iterable[str]) -> tuple[str, ...]:
    """Open what the cells of `datasets` need and split it as the study says; nothing is decoded.

    Returns warnings: of prompts that would say numbers or ids, and of classes that a source has no picture of.

    With ``skip_unreadable`` nothing is split: which pictures count is known only after all are decoded.

    Raises
    ------
    DataError, ModelError : something is missing, changed or too small; the message names data set, class and key.
    """
    if where_weights(study.backbone, folder) is None:
        find = missing_weights if is_tag(study.backbone) else absent_files
        raise find(study.backbone, folder)
    seed, draw, whole = study.train.data_seed, study.train.probe_draw, not study.train.skip_unreadable
    cautions = []
    for name in dict.fromkeys(datasets):
        spec = study.datasets[name]
        source, test = open_target(spec, folder, data_seed=seed, refuse_unreadable=whole)
        if whole:
            split_target(name, spec, source, test, protocol=study.protocol, data_seed=seed, probe_draw=draw)
        for corruption in spec.corrupted:
            open_corrupted(name, spec, corruption, test.class_names, folder, refuse_unreadable=whole)
        page_names(spec, source, folder)
        cautions += [unused_caution(f"{name}/train", source)]
    for name, transfer in study.transfer.items():
        images = open_source(transfer.test_source, folder, refuse_unreadable=whole)
        if whole:
            transfer_positions(name, images, transfer.n_images, transfer.track, data_seed=seed)
        templates = templates_of(transfer.template)
        names = transfer_names(transfer, images, folder)
        cautions += [name_caution(name, names, templates), unused_caution(name, images)]
    for unlabelled in study.unlabelled_sources.values():
        open_source(unlabelled, folder, refuse_unreadable=whole)
    return tuple(caution for caution in cautions if caution)


def open_target(
    spec: DatasetSpec,
    folder: Path,
    *,
    data_seed: int,
    skip_unreadable: bool = False,
    refuse_unreadable: bool = True,
) -> tuple[LabelledImages, LabelledImages]:
    """Open the train and the test images of a data set; a set with one split only is split here, by the data seed.

    Raises
    ------
    DataError, UnknownNameError : as :func:`heatdrift.data.sources.open_source`; a class with one image only.
    """
    how = {"skip_unreadable": skip_unreadable, "refuse_unreadable": refuse_unreadable}
    source = open_source(spec.train_source, folder, **how)
    if spec.test_source is not None:
        return source, open_source(spec.test_source, folder, **how)
    assert spec.test_fraction is not None  # plan/study.py: a data set has the one or the other
    return with_made_test(source, spec.test_fraction, data_seed=data_seed)


def open_train(spec: DatasetSpec, folder: Path, *, data_seed: int) -> LabelledImages:
    """Open the images that train, validation and probe sets are carved from, without a test source of their own."""
    if spec.test_source is not None:
        return open_source(spec.train_source, folder)
    return open_target(spec, folder, data_seed=data_seed)[0]


def open_corrupted(
    name: str,
    spec: DatasetSpec,
    corruption: str,
    class_names: tuple[str, ...],
    folder: Path,
    *,
    skip_unreadable: bool = False,
    refuse_unreadable: bool = True,
) -> LabelledImages:
    """Open a corrupted test split of the data set `name`, whose test split has `class_names`.

    Raises
    ------
    DataError : as :func:`heatdrift.data.sources.open_source`; other classes than the test split's.
    """
    source = spec.corrupted_sources[corruption]
    images = open_source(source, folder, skip_unreadable=skip_unreadable, refuse_unreadable=refuse_unreadable)
    if images.class_names != class_names:
        problem = f"data set {name!r}: corrupted {corruption} ({images.source}) has other classes than the test split"
        raise DataError(problem, hint="give the corrupted pictures of the same test split")
    return images


def page_names(spec: DatasetSpec, source: LabelledImages, folder: Path) -> tuple[str, ...]:
    """Words of a target set's classes on pages; they decide no result."""
    if spec.class_names is None:
        return source.class_names
    return prompt_names(source, spec.class_names, underscores=False, folder=folder)


def transfer_names(
    spec: TransferSpec, images: LabelledImages, folder: Path, *, plan: TransferPlan | None = None
) -> tuple[str, ...]:
    """Words that the prompts of a transfer set say.

    Raises
    ------
    UnknownNameError, DataError : as :func:`heatdrift.data.class_names.prompt_names`; the names file is not the one that
        `plan` was made with.
    """
    key = spec.class_names
    kept = plan is None or key is None or not is_names_file(key) or plan.class_names == names_file_identity(key, folder)
    if not kept:
        raise DataError(f"{folder}/{key} has changed since the cells were planned", hint="run the command again")
    return prompt_names(images, key, underscores=spec.underscores, folder=folder)


def unused_caution(name: str, images: LabelledImages) -> str | None:
    """Return a warning where a source declares classes of which it has no picture; else None."""
    if not images.unused:
        return None
    n, declared = len(images.unused), len(images.unused) + len(images.class_names)
    return (
        f"{name}: {images.source} declares {declared} classes and has no picture of {n} ({listed(images.unused)}); "
        f"they are left out, so it has {len(images.class_names)} classes"
    )


def image_counts(study: StudySpec, folder: Path, datasets: Iterable[str]) -> dict[str, ImageCounts]:
    """Return data set -> its images; nothing is decoded.

    Raises
    ------
    DataError : images are missing, changed or too few.
    """
    seed, transfer, tracked = study.train.data_seed, 0, 0
    for place, (name, given) in enumerate(study.transfer.items()):
        images = open_source(given.test_source, folder)
        chosen, track = transfer_positions(name, images, given.n_images, given.track, data_seed=seed)
        transfer += len(chosen)
        tracked += len(track) if place == 0 else 0  # the first one is tracked
    found = {}
    for name in dict.fromkeys(datasets):
        spec = study.datasets[name]
        source, test = open_target(spec, folder, data_seed=seed)
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
        only = [f"{c!r} is in {a.source} only" for a, b in ((source, test), (test, source))
                for c in a.class_names if c not in b.class_names]  # fmt: skip
        what = listed(only) or "their numbers differ"
        problem = f"data set {name!r}: {source.source} and {test.source} do not have the same classes: {what}"
        raise DataError(problem, hint="give two splits of one data set, or name the classes of both: classes = [...]")
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
