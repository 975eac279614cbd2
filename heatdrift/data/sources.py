"""Source strings -> images and hashes: the one table of schemes. A new kind of source is one entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from heatdrift.config import Reading, SourceSpec
from heatdrift.data import lab
from heatdrift.data.chosen import as_asked, identity
from heatdrift.data.folder import check_folder, folder_sha256, open_folder
from heatdrift.data.hub import check_hub, fetch_hub, hub_identity, open_hub
from heatdrift.data.images import LabelledImages, listed, unreadable, without
from heatdrift.data.manifest import (
    check_manifest,
    counted_images,
    make_manifest,
    manifest_path,
    read_manifest,
    write_manifest,
)
from heatdrift.data.parquet import open_parquet, parquet_sha256, shard_paths
from heatdrift.data.vision import check_vision, fetch_vision, open_vision, vision_identity
from heatdrift.downloads import Report
from heatdrift.errors import DataError, UnknownNameError


def _nothing_to_fetch(_place: str, _folder: Path, _report: Report) -> None:
    """Local sources are there or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One kind of source; its functions take the part after the colon and the data folder.

    Attributes
    ----------
    open : images; its third argument is the revision that a manifest names, if any, its fourth what the study says of
        columns.
    sha256 : identity of the source for a cell: of the content if it is local, of the reference if it is fetched.
    check : raises DataError when something is missing; cheap, hashes and decodes nothing.
    fetch : downloads what is missing.
    drawn : made by heatdrift's own code, so there is nothing to fetch, verify or list.
    columns : the source has columns, which a study may name.
    """

    open: Callable[[str, Path, str | None, Reading], LabelledImages]
    sha256: Callable[[str, Path, Reading], str]
    check: Callable[[str, Path], object]
    fetch: Callable[[str, Path, Report], None] = _nothing_to_fetch
    drawn: bool = False
    columns: bool = False

    @property
    def fetchable(self) -> bool:
        """Whether what is missing can be downloaded."""
        return self.fetch is not _nothing_to_fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of one source.

    Attributes
    ----------
    state : "drawn" (needs no files), "verified" (is what its manifest says) or "listed" (the manifest is new).
    detail : a remark for people, such as why the manifest could not be written.
    """

    state: Literal["drawn", "verified", "listed"]
    n_images: int | None = None
    n_classes: int | None = None
    sha256: str | None = None
    revision: str | None = None
    unreadable: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    detail: str = ""


def _open_lab(place: str, _folder: Path, _revision: str | None, _reading: Reading) -> LabelledImages:
    name, split = _lab_parts(place)
    spec = lab.set_spec(name, split)
    drawn = cache(lambda: lab.draw_set(name, split))  # counting images draws none
    return LabelledImages(
        source=f"lab:{place}",
        sha256=lab.set_sha256(name, split),
        labels=spec.labels,
        class_names=spec.class_names,
        read=lambda position: Image.fromarray(drawn().pixels[position]),
    )


def _lab_parts(place: str) -> tuple[str, str]:
    name, _, split = place.partition("/")
    return name, split or "test"


def _lab_sha256(place: str, _folder: Path) -> str:
    return lab.set_sha256(*_lab_parts(place))


SCHEMES: Final[dict[str, Scheme]] = {
    "lab": Scheme(
        open=_open_lab,
        sha256=lambda place, folder, _reading: _lab_sha256(place, folder),
        check=_lab_sha256,
        drawn=True,
    ),
    "parquet": Scheme(
        open=lambda place, folder, _revision, reading: open_parquet(place, folder, reading),
        sha256=parquet_sha256,
        check=shard_paths,
        columns=True,
    ),
    "folder": Scheme(
        open=lambda place, folder, _revision, _reading: open_folder(place, folder),
        sha256=lambda place, folder, _reading: folder_sha256(place, folder),
        check=check_folder,
    ),
    "hf": Scheme(
        open=open_hub,
        sha256=lambda place, folder, _reading: hub_identity(place, folder),
        check=check_hub,
        fetch=fetch_hub,
        columns=True,
    ),
    "torchvision": Scheme(
        open=lambda place, folder, _revision, _reading: open_vision(place, folder),
        sha256=lambda place, folder, _reading: vision_identity(place, folder),
        check=check_vision,
        fetch=fetch_vision,
    ),
}


def _scheme(spec: SourceSpec) -> tuple[Scheme, str]:
    kind, colon, place = spec.source.partition(":")
    if not colon or kind not in SCHEMES:
        raise UnknownNameError("kind of source", spec.source, (f"{name}:" for name in SCHEMES))
    scheme = SCHEMES[kind]
    named = spec.changes(("image", "label", "labels_from"))
    if named and not scheme.columns:
        problem = f"{spec.source} has no columns, so {', '.join(named)} cannot be said of it"
        raise DataError(problem, hint="these keys are for parquet: and hf: sources")
    return scheme, place


def source_sha256(spec: SourceSpec, folder: Path) -> str:
    """Hash that identifies the source: as the study file pins it, else as its kind identifies itself.

    Local sources hash their content. A source that is fetched hashes its reference, so that `plan` works before `fetch`
    and gives the same afterwards; the content that was read is recorded with every run. What the study says of columns,
    classes and orientation is part of it.
    """
    scheme, place = _scheme(spec)
    content = spec.sha256 if spec.sha256 is not None else scheme.sha256(place, folder, spec)
    return identity(content, spec)


def missing_source(spec: SourceSpec, folder: Path) -> DataError | None:
    """Return the error that opening would raise because something is not there; None if all is. Hashes nothing."""
    scheme, place = _scheme(spec)
    try:
        scheme.check(place, folder)
    except DataError as error:
        return error
    return None


def count_source(spec: SourceSpec, folder: Path) -> LabelledImages | None:
    """Labels of a source, to see how many images each class has; its pictures are for nobody to read.

    They come from the manifest where there is one, as fetch found them (with pictures that do not decode), else from
    the source itself. None where that cannot be had cheaply: it is not here, or is a download that fetch has not
    looked at.

    Raises
    ------
    DataError : the source is here and cannot be opened, or has another number of images than the study file says.
    """
    scheme, _ = _scheme(spec)
    if scheme.drawn:
        return open_source(spec, folder)
    if missing_source(spec, folder) is not None:
        return None
    manifest = read_manifest(spec.opened_as, folder)
    if manifest is not None and spec.classes is None and spec.n_images in (None, manifest.n_images):
        return counted_images(manifest)
    return None if manifest is None and scheme.fetchable else open_source(spec, folder, refuse_unreadable=False)


def open_source(
    spec: SourceSpec, folder: Path, *, skip_unreadable: bool = False, refuse_unreadable: bool = True
) -> LabelledImages:
    """Open the images of a source and verify them: against the study file's pinned hash, else against the manifest.

    With `skip_unreadable`, pictures that do not decode are left out before anything is split, listed in `skipped`, and
    the content hash differs from that of the whole source. A subset of classes is taken before that. Without
    `refuse_unreadable`, pictures that the manifest knows not to decode are kept, for a check that names them.

    Raises
    ------
    DataError : missing, damaged, another content or number of images than the study file or the manifest says, or (if
        the manifest knows of some) pictures that do not decode.
    """
    whole, known = _verified(spec, folder)
    images = as_asked(whole, spec)
    if known:
        present = {images.name(position) for position in range(len(images))}
        known = tuple(name for name in known if name in present)
    if skip_unreadable:
        if known is None:
            return without(images, unreadable(images))
        names = set(known)
        return without(images, [position for position in range(len(images)) if images.name(position) in names])
    if known and refuse_unreadable:
        problem = f"{spec.source}: {len(known)} pictures do not decode: {listed(known)}"
        raise DataError(problem, hint="replace them, or leave them out with --skip-unreadable (recorded with each run)")
    return images


def _verified(spec: SourceSpec, folder: Path) -> tuple[LabelledImages, tuple[str, ...] | None]:
    """Images as they should be, and the names of those that the manifest knows not to decode (None: not known)."""
    scheme, place = _scheme(spec)
    manifest = None if scheme.drawn else read_manifest(spec.opened_as, folder)
    images = scheme.open(place, folder, manifest.revision if manifest else None, spec)
    if spec.sha256 is not None and images.sha256 != spec.sha256:
        problem = f"{spec.source} has sha256 {images.sha256[:12]}..., the study file says {spec.sha256[:12]}..."
        raise DataError(problem, hint="use the file that the study names, or pin the new hash on purpose")
    if spec.n_images is not None and len(images) != spec.n_images:
        problem = f"{spec.source} has {len(images)} images, the study file says {spec.n_images}"
        raise DataError(problem, hint="check that the source is complete, or correct n_images in the study file")
    if manifest is not None and spec.sha256 is None:
        check_manifest(manifest, images, folder)
    same = manifest is not None and manifest.sha256 == images.sha256
    return images, manifest.unreadable if manifest is not None and same else None


def fetch_source(spec: SourceSpec, folder: Path, report: Report) -> Fetched:
    """Download what is missing, verify it, decode every picture once and write the manifest.

    Doing it again downloads and decodes nothing: what the manifest says is compared with the files.

    Raises
    ------
    DataError : as :func:`open_source`, or the download fails.
    """
    scheme, place = _scheme(spec)
    if scheme.drawn:
        scheme.check(place, folder)
        return Fetched(state="drawn")
    scheme.fetch(place, folder, report)
    images, known = _verified(spec, folder)
    if known is not None:
        return _fetched("verified", images, known, "")
    bad = unreadable(images, lambda done: report(f"decoding {spec.source}", done, len(images)))
    names = tuple(images.name(position) for position in bad)
    try:
        write_manifest(make_manifest(images, names, spec.opened_as), folder)
        detail = ""
    except OSError as error:
        where = manifest_path(spec.opened_as, folder)
        detail = f"manifest {where} not written: {error.strerror or error}"
    return _fetched("listed", images, names, detail)


def _fetched(
    state: Literal["verified", "listed"], images: LabelledImages, unreadable: tuple[str, ...], detail: str
) -> Fetched:
    return Fetched(
        state=state,
        n_images=len(images),
        n_classes=len(images.class_names),
        sha256=images.sha256,
        revision=images.revision,
        unreadable=unreadable,
        unused=images.unused,
        detail=detail,
    )
