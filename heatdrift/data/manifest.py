"""Manifests: what `heatdrift fetch` found in a source, checked whenever the source is opened.

A manifest is a small JSON in ``<data folder>/manifests``. Opening a source hashes its files in full (that content hash
is recorded with every run anyway), so a changed byte is noticed before training, whatever sizes and times say.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from PIL import Image

from heatdrift.data.files import FileEntry
from heatdrift.data.images import LabelledImages, listed
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import DataError
from heatdrift.records import Strict

MANIFEST_FORMAT: Final = 1
_MOST_BYTES: Final = 2**30  # a line for every file of a source: 10^6 pictures have 150 MB
FOLDER: Final = "manifests"


class ClassCount(Strict, frozen=True, kw_only=True):
    """How many images a class has."""

    name: str
    n_images: int


class Manifest(Strict, frozen=True, kw_only=True):
    """One source as it was found.

    Attributes
    ----------
    source : as the study file says it, with the columns that it names.
    sha256 : content hash over all files.
    revision : commit that a name on a hub resolved to.
    classes : in the order of the labels.
    unreadable : names of pictures that do not decode.
    """

    format: int = MANIFEST_FORMAT
    source: str
    sha256: str
    revision: str | None
    n_images: int
    classes: tuple[ClassCount, ...]
    unreadable: tuple[str, ...]
    files: tuple[FileEntry, ...]


def manifest_path(source: str, folder: Path) -> Path:
    """Where the manifest of `source` lies: readable, and distinct for distinct sources."""
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", source).strip("-.")[:80]
    return folder / FOLDER / f"{slug}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.json"


def make_manifest(images: LabelledImages, unreadable: tuple[str, ...], source: str) -> Manifest:
    """Write down what `images` are, opened as `source`."""
    counts = np.bincount(images.labels, minlength=len(images.class_names)).tolist()
    pairs = zip(images.class_names, counts, strict=True)
    return Manifest(
        source=source,
        sha256=images.sha256,
        revision=images.revision,
        n_images=len(images),
        classes=tuple(ClassCount(name=name, n_images=count) for name, count in pairs),
        unreadable=unreadable,
        files=images.files,
    )


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write a manifest, whole or not at all; OSError when the folder cannot be written."""
    path = manifest_path(manifest.source, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
            stream.close()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return path


def read_manifest(source: str, folder: Path) -> Manifest | None:
    """Return the manifest of `source`; None if none was written.

    Raises
    ------
    DataError : it is damaged, of a newer format, or of another source.
    """
    path = manifest_path(source, folder)
    absent = (FileNotFoundError, NotADirectoryError)
    try:
        with decoding(
            lambda reason: DataError(f"{path} is not a readable manifest: {reason}", hint=_renew(path)), but=absent
        ):
            manifest = msgspec.json.decode(read_whole(path, most=_MOST_BYTES), type=Manifest)
    except absent:
        return None
    if manifest.format > MANIFEST_FORMAT or manifest.source != source:
        raise DataError(f"{path} is a manifest of {manifest.source}, format {manifest.format}", hint=_renew(path))
    return manifest


def counted_images(manifest: Manifest) -> LabelledImages:
    """Labels and class names of a source as its manifest lists them, by class; there is no picture to read."""
    counts = [entry.n_images for entry in manifest.classes]

    def read(_position: int) -> Image.Image:
        raise DataError(f"{manifest.source} was counted, not opened", hint="heatdrift fetch with the same --study")

    return LabelledImages(
        source=manifest.source,
        sha256=manifest.sha256,
        labels=np.repeat(np.arange(len(counts), dtype=np.int64), counts),
        class_names=tuple(entry.name for entry in manifest.classes),
        read=read,
        revision=manifest.revision,
    )


def check_manifest(manifest: Manifest, images: LabelledImages, folder: Path) -> None:
    """Refuse images that are not those of the manifest, and say what changed.

    Raises
    ------
    DataError : another file, number of images, or class.
    """
    changes = list(_changes(manifest, images))
    if changes:
        path = manifest_path(manifest.source, folder)
        problem = f"{manifest.source} is not what {path} promises: {listed(changes)}"
        raise DataError(problem, hint=f"restore it; or, if the change is meant: {_renew(path)}")


def _renew(path: Path) -> str:
    return f"delete {path} and run heatdrift fetch again with the same --study"


def _changes(manifest: Manifest, images: LabelledImages) -> Iterator[str]:
    before, after = ({entry.path: entry for entry in files} for files in (manifest.files, images.files))
    for name in sorted(before.keys() - after.keys()):
        yield f"file {name} is missing"
    for name in sorted(after.keys() - before.keys()):
        yield f"file {name} is new"
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            old, new = before[name], after[name]
            sizes = f"{old.size} bytes, now {new.size}"
            yield f"file {name} changed ({sizes}; sha256 {old.sha256[:12]}..., now {new.sha256[:12]}...)"
    found = make_manifest(images, manifest.unreadable, manifest.source)
    if manifest.n_images != found.n_images:
        yield f"{manifest.n_images} images, now {found.n_images}"
    for was, now in zip(manifest.classes, found.classes, strict=False):
        if was != now:
            yield f"class {was.name!r} with {was.n_images} images, now {now.name!r} with {now.n_images}"
    if len(manifest.classes) != len(found.classes):
        yield f"{len(manifest.classes)} classes, now {len(found.classes)}"
    if manifest.revision != found.revision:
        yield f"revision {manifest.revision}, now {found.revision}"
