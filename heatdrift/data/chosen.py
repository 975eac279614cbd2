"""What a study asks of a source beyond its columns: some classes only, pictures upright, a test split made of one.

Each changes the content hash of the images and the source's identity in a cell id, and only where it is asked for.
"""

import dataclasses
import hashlib
from typing import Final

import msgspec
import numpy as np
from PIL import Image, ImageOps

from heatdrift.config import Reading
from heatdrift.data.images import LabelledImages, Labels, check_labels, listed, name_index, part
from heatdrift.errors import DataError, UnknownNameError

_DECIDING: Final = ("image", "label", "labels_from", "classes", "exif_rotation")


def identity(sha256: str, reading: Reading) -> str:
    """Hash of a source as it is read: `sha256` itself where the study says nothing of that."""
    said = reading.changes(_DECIDING)
    if not said:
        return sha256
    if reading.classes is not None:
        said["classes"] = sorted(set(map(str, reading.classes)))  # their order changes nothing
    return hashlib.sha256(b"|".join((sha256.encode(), msgspec.json.encode(said, order="sorted")))).hexdigest()


def as_asked(images: LabelledImages, reading: Reading) -> LabelledImages:
    """Take the classes that the study asks for and turn pictures upright where it says so.

    Raises
    ------
    UnknownNameError, DataError : as :func:`only_classes`.
    """
    if reading.classes is not None:
        images = only_classes(images, reading.classes)
    if reading.exif_rotation:
        read = images.read
        images = dataclasses.replace(images, read=lambda position: upright(read(position)))
    return dataclasses.replace(images, sha256=identity(images.sha256, reading))


def upright(picture: Image.Image) -> Image.Image:
    """Turn a decoded picture as its orientation tag says; one without a tag is returned as it is.

    A tag that cannot be read is none: the picture itself has decoded.
    """
    try:
        return ImageOps.exif_transpose(picture)
    except (SyntaxError, OSError, ValueError, TypeError, KeyError):
        return picture


def only_classes(images: LabelledImages, wanted: tuple[str | int, ...]) -> LabelledImages:
    """Keep the pictures of some classes, which are numbered anew in the order of the source.

    `wanted`: names as the source writes them or as words, or numbers of the source.

    Raises
    ------
    UnknownNameError : the source has no such class.
    DataError : fewer than two classes are left, or two of `wanted` are the same.
    """
    in_source, in_words = name_index(images.source_names), name_index(images.class_names)
    by_number = {number + images.first_number: i for i, number in enumerate(images.class_numbers)}
    chosen = []
    for name in wanted:
        if isinstance(name, int):
            found = by_number.get(name)
        else:
            found = in_words(name) if in_source(name) is None else in_source(name)
        if found is None:
            known = map(str, by_number) if isinstance(name, int) else images.source_names or images.class_names
            raise UnknownNameError("class", str(name), known, where=f"classes of {images.source}")
        chosen.append(found)
    if len(set(chosen)) != len(chosen):
        twice = next(str(wanted[i]) for i, found in enumerate(chosen) if chosen.count(found) > 1)
        raise DataError(f"{images.source}: classes names {twice!r} twice", hint="name each class once")
    classes = np.array(sorted(chosen), dtype=np.int64)
    positions = np.flatnonzero(np.isin(images.labels, classes))
    kept = part(images, positions, images.sha256)
    labels = np.searchsorted(classes, kept.labels).astype(np.int64)
    check_labels(labels, len(classes), f"{images.source} with classes {listed(map(str, wanted))}")
    return dataclasses.replace(
        kept,
        labels=labels,
        class_names=tuple(images.class_names[i] for i in classes),
        source_names=tuple(images.source_names[i] for i in classes) if images.source_names else (),
        numbers=tuple(images.class_numbers[i] for i in classes),
    )


def made_test_positions(labels: Labels, fraction: float, *, data_seed: int, source: str) -> tuple[Labels, Labels]:
    """Positions of the train and of the test part of a set that has one split only, sorted; disjoint, all of it.

    Of each class, `fraction` of its images become test images (rounded, at least one); which ones depends on
    `data_seed` and the labels alone.

    Raises
    ------
    DataError : a class has one image only.
    """
    generator = np.random.Generator(np.random.PCG64([data_seed, 4]))
    test = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            problem = f"{source}: class {int(label)} has {len(members)} image, test_fraction needs two or more"
            raise DataError(problem, hint="give more images, or choose classes")
        n = min(max(1, round(fraction * len(members))), len(members) - 1)
        test.append(generator.permutation(members)[:n])
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def with_made_test(images: LabelledImages, fraction: float, *, data_seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Split one source into a train and a test part (:func:`made_test_positions`); each has a hash of its own."""
    train, test = made_test_positions(images.labels, fraction, data_seed=data_seed, source=images.source)
    parts = []
    for positions in (train, test):
        digest = hashlib.sha256(images.sha256.encode() + positions.astype("<i8").tobytes())
        parts.append(part(images, positions, digest.hexdigest()))
    return parts[0], parts[1]
