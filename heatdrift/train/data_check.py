"""What ``heatdrift data check`` finds in the pictures of a study before anything trains: every picture is decoded.

A result of typed values: counts per class and split, sizes, copies within and across sets, prompts, and what is wrong.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from heatdrift.config import DatasetSpec, StudySpec
from heatdrift.crop_plan import Preprocess
from heatdrift.data.contact_sheet import Row, sample_positions, write_sheet
from heatdrift.data.duplicates import MOST_NEAR, Copy, Fingerprints, by_sets, copies, fingerprints
from heatdrift.data.images import LabelledImages
from heatdrift.data.manifest import ClassCount
from heatdrift.data.prompts import name_caution, templates_of
from heatdrift.data.sources import open_source
from heatdrift.data.transforms import crops
from heatdrift.errors import HeatdriftError
from heatdrift.model.identity import architecture_crops
from heatdrift.train.inputs import open_target, page_names, split_target, transfer_names, unused_caution
from heatdrift.wording import counted

Report = Callable[[str, int, int | None], object]  # what goes on, done, of how many
_CROP: Final = 224  # pixels of the samples where the architecture is not at hand


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A typed value of the result; its fields are its JSON keys."""


class SetFound(Found, frozen=True, kw_only=True):
    """One set of pictures: a split of a target data set ("pets/train"), or a transfer set.

    Attributes
    ----------
    classes : name and number of pictures of each, in the order of the labels.
    smallest, largest : width and height of the picture with the fewest and the most pixels.
    unreadable : pictures that do not decode.
    unused : classes that the source declares and has no picture of.
    """

    name: str
    source: str
    n_images: int
    classes: tuple[ClassCount, ...]
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    n_sizes: int
    unreadable: tuple[str, ...]
    unused: tuple[str, ...]


class SplitFound(Found, frozen=True, kw_only=True):
    """Images of one class of a target data set in each set that the protocol carves."""

    dataset: str
    class_name: str
    train: int
    val: int
    probe: int
    test: int


class CopyFound(Found, frozen=True, kw_only=True):
    """Two pictures that are one, and whether they have two labels."""

    kind: str  # "exact" or "near"
    set_a: str
    picture_a: str
    class_a: str
    set_b: str
    picture_b: str
    class_b: str
    bits: int

    @property
    def two_labels(self) -> bool:
        """Whether the two are said to show different classes."""
        return self.class_a != self.class_b


class PromptsFound(Found, frozen=True, kw_only=True):
    """What the text tower is asked for one transfer set: templates, class names, and the first prompts."""

    transfer_set: str
    templates: tuple[str, ...]
    class_names: tuple[str, ...]
    first: tuple[str, ...]


class DataCheck(Found, frozen=True, kw_only=True):
    """All that was found; `problems` stop the training, `cautions` do not."""

    study: str
    sets: tuple[SetFound, ...]
    splits: tuple[SplitFound, ...]
    copies: tuple[CopyFound, ...]
    prompts: tuple[PromptsFound, ...]
    cautions: tuple[str, ...]
    problems: tuple[str, ...]
    picture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The sets of a study that could be opened, and what was said of them on the way."""

    sets: dict[str, LabelledImages]
    splits: tuple[SplitFound, ...]
    prompts: tuple[PromptsFound, ...]
    cautions: list[str]
    problems: list[str]


def check_data(study: StudySpec, folder: Path, *, picture: Path | None, report: Report) -> DataCheck:
    """Open, decode and compare all pictures of `study`, whose relative paths lie in `folder`.

    What is wrong with one set does not hide what is wrong with another. Sample crops of each set are written to
    `picture` (None: not).
    """
    opened = _open(study, folder)
    prints = {name: fingerprints(images, _telling(report, name, images)) for name, images in opened.sets.items()}
    sets = tuple(_set(name, images, prints[name]) for name, images in opened.sets.items())
    problems = opened.problems + [
        f"{found.name}: {len(found.unreadable)} of {found.n_images} pictures do not decode: "
        + ", ".join(found.unreadable[:3])
        for found in sets
        if found.unreadable and not study.train.skip_unreadable
    ]
    distinct = _distinct(opened.sets)
    n_compared = sum(len(opened.sets[name]) for name in distinct)
    pairs = copies([prints[name] for name in distinct], lambda done: report("comparing pictures", done, n_compared))
    listed = tuple(_copies(pairs, {name: opened.sets[name] for name in distinct}))
    cautions = [*opened.cautions, *_leaks(listed)]
    if sum(not pair.exact for pair in pairs) == MOST_NEAR:
        cautions.append(f"more than {MOST_NEAR:,} near duplicates: only the first ones are listed")
    written = None
    if picture is not None and opened.sets:
        try:
            write_sheet(list(_rows(study, folder, opened.sets, prints)), picture)
            written = str(picture)
        except OSError as error:
            cautions.append(f"the sample crops are not written to {picture}: {error.strerror or error}")
    return DataCheck(
        study=study.name,
        sets=sets,
        splits=opened.splits,
        copies=listed,
        prompts=opened.prompts,
        cautions=tuple(cautions),
        problems=tuple(problems),
        picture=written,
    )


def _telling(report: Report, name: str, images: LabelledImages) -> Callable[[int], object]:
    return lambda done: report(f"decoding {name}", done, len(images))


def _open(study: StudySpec, folder: Path) -> _Opened:
    sets: dict[str, LabelledImages] = {}
    splits, prompts, cautions, problems = list[SplitFound](), list[PromptsFound](), list[str | None](), list[str]()
    for name, spec in study.datasets.items():
        try:
            train, test = open_target(spec, folder, data_seed=study.train.data_seed, refuse_unreadable=False)
            sets |= {f"{name}/train": train, f"{name}/test": test}
            cautions += [unused_caution(f"{name}/train", train), unused_caution(f"{name}/test", test)]
            words = page_names(spec, train, folder)
            if train.class_names == test.class_names:
                sets |= {f"{name}/train": _called(words, train), f"{name}/test": _called(words, test)}
            splits += _splits(name, spec, study, train, test, words)
        except HeatdriftError as error:
            problems.append(f"{name}: {error.message}; {error.hint}")
    for name, transfer in study.transfer.items():
        try:
            images = open_source(transfer.test_source, folder, refuse_unreadable=False)
            sets[name] = images
            names, templates = transfer_names(transfer, images, folder), templates_of(transfer.template)
            sets[name] = _called(names, images)
            first = tuple(template.format(names[0]) for template in templates[:2])
            first += tuple(templates[0].format(other) for other in names[1:3])
            cautions += [name_caution(name, names, templates), unused_caution(name, images)]
            prompts.append(PromptsFound(transfer_set=name, templates=templates, class_names=names, first=first))
        except HeatdriftError as error:
            problems.append(f"{name}: {error.message}; {error.hint}")
        except (LookupError, ValueError) as error:
            problems.append(f"{name}: prompt template cannot be filled: {error}; write one {{}} in it")
    said = [caution for caution in cautions if caution]
    return _Opened(sets=sets, splits=tuple(splits), prompts=tuple(prompts), cautions=said, problems=problems)


def _called(words: tuple[str, ...], images: LabelledImages) -> LabelledImages:
    """Images whose classes have the names that prompts and pages say."""
    return dataclasses.replace(images, class_names=words)


def _splits(
    name: str,
    spec: DatasetSpec,
    study: StudySpec,
    train: LabelledImages,
    test: LabelledImages,
    words: tuple[str, ...],
) -> Iterator[SplitFound]:
    draw, seed = study.train.probe_draw, study.train.data_seed
    found = split_target(name, spec, train, test, protocol=study.protocol, data_seed=seed, probe_draw=draw)
    held_out = test if found.held_out == "test" else train
    parts = (train.labels[found.train], held_out.labels[found.val], held_out.labels[found.probe])
    left = test.labels if found.held_out == "train" else test.labels[:0]
    counts = [np.bincount(labels, minlength=len(words)).tolist() for labels in (*parts, left)]
    for label, word in enumerate(words):
        in_train, in_val, in_probe, in_test = (count[label] for count in counts)
        yield SplitFound(dataset=name, class_name=word, train=in_train, val=in_val, probe=in_probe, test=in_test)


def _set(name: str, images: LabelledImages, prints: Fingerprints) -> SetFound:
    counts = np.bincount(images.labels, minlength=len(images.class_names)).tolist()
    sizes = prints.sizes[prints.sizes[:, 0] > 0]
    area = sizes.prod(axis=1)
    ends = [(int(w), int(h)) for w, h in sizes[[area.argmin(), area.argmax()]]] if len(sizes) else [None, None]
    return SetFound(
        name=name,
        source=images.source,
        n_images=len(images),
        classes=tuple(ClassCount(name=word, n_images=n) for word, n in zip(images.class_names, counts, strict=True)),
        smallest=ends[0],
        largest=ends[1],
        n_sizes=len(np.unique(sizes, axis=0)),
        unreadable=tuple(images.name(position) for position in prints.unreadable.tolist()),
        unused=images.unused,
    )


def _distinct(sets: Mapping[str, LabelledImages]) -> list[str]:
    """Names of the sets, each content once: a transfer set may be a data set's test split."""
    first: dict[str, str] = {}
    for name, images in sets.items():
        first.setdefault(images.sha256, name)
    return list(first.values())


def _copies(pairs: tuple[Copy, ...], sets: Mapping[str, LabelledImages]) -> Iterator[CopyFound]:
    names, images = list(sets), list(sets.values())
    for some in by_sets(pairs, len(names)).values():
        for pair in some:
            (a, i), (b, j) = pair.first, pair.second
            yield CopyFound(
                kind="exact" if pair.exact else "near",
                set_a=names[a],
                picture_a=images[a].name(i),
                class_a=images[a].class_names[images[a].labels[i]],
                set_b=names[b],
                picture_b=images[b].name(j),
                class_b=images[b].class_names[images[b].labels[j]],
                bits=pair.bits,
            )


def _leaks(found: tuple[CopyFound, ...]) -> Iterator[str]:
    """Say of each data set how many of its test pictures are among those that it trains on."""
    pairs = [(pair.set_a, pair.set_b) for pair in found if pair.kind == "exact"]
    for a, b in dict.fromkeys(pairs):
        dataset, _, split = a.rpartition("/")
        if split == "train" and b == f"{dataset}/test":
            many = counted(pairs.count((a, b)), "test picture is a train picture", "test pictures are train pictures")
            yield f"{dataset}: {many}, too; its test accuracy counts them"


def _rows(
    study: StudySpec, folder: Path, sets: Mapping[str, LabelledImages], prints: Mapping[str, Fingerprints]
) -> Iterator[Row]:
    preprocess = _preprocess(study, folder)
    for name, images in sets.items():
        usable = np.setdiff1d(np.arange(len(images)), prints[name].unreadable)
        chosen = sample_positions(images, usable, data_seed=study.train.data_seed)
        yield Row(
            title=f"{name}: {images.source}",
            crops=crops(images, chosen, preprocess),
            names=[images.class_names[label] for label in images.labels[chosen]],
        )


def _preprocess(study: StudySpec, folder: Path) -> Preprocess:
    """How the study crops, without its weights; the means of colours do not matter here."""
    own = architecture_crops(study.backbone, folder)
    size = study.preprocess.crop or own.get("crop") or _CROP
    base = Preprocess(
        size=int(str(size)), mean=(0, 0, 0), std=(1, 1, 1), interpolation=str(own.get("interpolation", "bicubic"))
    )
    return base.changed(study.preprocess)
