"""Source strings -> images and hashes: the one table of schemes. A new kind of source is one entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from heatdrift.config import SourceSpec
from heatdrift.data import lab, parquet
from heatdrift.data.images import LabelledImages, check_labels
from heatdrift.errors import DataError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of source is opened and hashed; both take the part after the colon and the data folder."""

    open: Callable[[str, Path], LabelledImages]
    sha256: Callable[[str, Path], str]


def _open_lab(place: str, _folder: Path) -> LabelledImages:
    name, split = _lab_parts(place)
    drawn = lab.draw_set(name, split)
    check_labels(drawn.labels, len(drawn.class_names), f"lab:{place}")
    return LabelledImages(
        source=f"lab:{place}",
        sha256=lab.set_sha256(name, split),
        labels=drawn.labels,
        class_names=drawn.class_names,
        read=lambda position: Image.fromarray(drawn.pixels[position]),
    )


def _lab_parts(place: str) -> tuple[str, str]:
    name, _, split = place.partition("/")
    return name, split or "test"


SCHEMES: Final[dict[str, Scheme]] = {
    "lab": Scheme(open=_open_lab, sha256=lambda place, _folder: lab.set_sha256(*_lab_parts(place))),
    "parquet": Scheme(
        open=lambda place, folder: parquet.open_parquet(folder / place, f"parquet:{place}"),
        sha256=lambda place, folder: parquet.file_sha256(folder / place),
    ),
}


def _scheme(source: str) -> tuple[Scheme, str]:
    kind, colon, place = source.partition(":")
    if not colon or kind not in SCHEMES:
        raise UnknownNameError("kind of source", source, (f"{name}:" for name in SCHEMES))
    return SCHEMES[kind], place


def source_sha256(spec: SourceSpec, folder: Path) -> str:
    """Hash that identifies the source: as the study file pins it, else computed from what lies in `folder`."""
    if spec.sha256 is not None:
        _scheme(spec.source)
        return spec.sha256
    scheme, place = _scheme(spec.source)
    return scheme.sha256(place, folder)


def open_source(spec: SourceSpec, folder: Path) -> LabelledImages:
    """Open the images of a source and verify its pinned hash.

    Raises
    ------
    DataError : missing, damaged, or another content than the study file pins.
    """
    scheme, place = _scheme(spec.source)
    images = scheme.open(place, folder)
    if spec.sha256 is not None and images.sha256 != spec.sha256:
        problem = f"{spec.source} has sha256 {images.sha256[:12]}..., the study file says {spec.sha256[:12]}..."
        raise DataError(problem, hint="use the file that the study names, or pin the new hash on purpose")
    return images
