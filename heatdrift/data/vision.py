"""``torchvision:NAME/SPLIT``: EuroSAT, OxfordIIITPet, CIFAR10 and CIFAR100 from ``<data folder>/torchvision``.

torchvision reads the files and knows the classes; the archives are downloaded here, because torchvision's own download
cannot resume. The MD5 sums are torchvision's.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heatdrift.data.download import Archive, download_archive
from heatdrift.data.files import content_sha256, entries, picture_bytes, relative_name
from heatdrift.data.images import LabelledImages, check_labels, decode_image, readable
from heatdrift.decoding import decoding
from heatdrift.downloads import Report
from heatdrift.errors import DataError, UnknownNameError

EUROSAT_TEST_FRACTION: Final = 0.2
EUROSAT_SPLIT_SEED: Final = 20180829  # drawn by heatdrift; changing it or the fraction needs a new split name


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSet:
    """One data set of torchvision.

    Attributes
    ----------
    splits : split name -> keyword arguments of torchvision's class.
    place : folder inside the root where the files lie when they are there.
    needed : files or folders inside `place` that opening reads.
    archives : what is downloaded, and unpacked into `unpack_to` (inside the root).
    """

    splits: dict[str, dict[str, Any]]
    place: str
    needed: tuple[str, ...]
    archives: tuple[Archive, ...]
    unpack_to: str


_CIFAR_SPLITS: Final[dict[str, dict[str, Any]]] = {"train": {"train": True}, "test": {"train": False}}
SETS: Final[dict[str, VisionSet]] = {
    "EuroSAT": VisionSet(
        splits={"train": {}, "test": {}, "all": {}},
        place="eurosat",
        needed=("2750",),
        archives=(
            Archive(
                name="EuroSAT.zip",
                url="https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                md5="c8fa014336c82ac7804f0398fcb19387",
            ),
        ),
        unpack_to="eurosat",
    ),
    "OxfordIIITPet": VisionSet(
        splits={"trainval": {"split": "trainval"}, "test": {"split": "test"}},
        place="oxford-iiit-pet",
        needed=("images", "annotations/trainval.txt", "annotations/test.txt"),
        archives=(
            Archive(
                name="images.tar.gz",
                url="https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
                md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",
            ),
            Archive(
                name="annotations.tar.gz",
                url="https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
                md5="95a8c909bbe2e81eed6a22bccdf3f68f",
            ),
        ),
        unpack_to="oxford-iiit-pet",
    ),
    "CIFAR10": VisionSet(
        splits=_CIFAR_SPLITS,
        place="cifar-10-batches-py",
        needed=("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch"),
        archives=(
            Archive(
                name="cifar-10-python.tar.gz",
                url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                md5="c58f30108f718f92721af3b95e74349a",
            ),
        ),
        unpack_to="",
    ),
    "CIFAR100": VisionSet(
        splits=_CIFAR_SPLITS,
        place="cifar-100-python",
        needed=("meta", "train", "test"),
        archives=(
            Archive(
                name="cifar-100-python.tar.gz",
                url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                md5="eb9058c3a382ffc7106e4002c42a8d85",
            ),
        ),
        unpack_to="",
    ),
}


def _parts(place: str) -> tuple[str, VisionSet, str]:
    name, _, split = place.partition("/")
    if name not in SETS:
        raise UnknownNameError("torchvision data set", name, SETS)
    if split not in SETS[name].splits:
        raise UnknownNameError("split", split, SETS[name].splits, where=f"torchvision:{name}")
    return name, SETS[name], split


def vision_identity(place: str, _folder: Path) -> str:
    """Hash of the reference, and of how the split is drawn where the data set has no official one."""
    name, _, split = _parts(place)
    drawn = f" test {EUROSAT_TEST_FRACTION} seed {EUROSAT_SPLIT_SEED}" if name == "EuroSAT" and split != "all" else ""
    return hashlib.sha256(f"torchvision:{name}/{split}{drawn}".encode()).hexdigest()


def vision_root(folder: Path) -> Path:
    """Root that torchvision's classes get."""
    return folder / "torchvision"


def check_vision(place: str, folder: Path) -> None:
    """Raise DataError when the data set is not there; nothing is read."""
    name, kind, _ = _parts(place)
    inside = vision_root(folder) / kind.place
    missing = [part for part in kind.needed if not (inside / part).exists()]
    if missing:
        where = f"{vision_root(folder) / kind.unpack_to}"
        urls = "\n  ".join(archive.url for archive in kind.archives)
        hint = f"heatdrift fetch with the same --study; without a network, put\n  {urls}\ninto {where} and run it again"
        raise DataError(f"torchvision data set {name} is not there: {inside} lacks {', '.join(missing)}", hint=hint)


def fetch_vision(place: str, folder: Path, report: Report) -> None:
    """Download and unpack the data set's archives where it is not there; a broken download goes on where it stopped.

    Raises
    ------
    DataError : offline, the connection or the disk fails, or an archive of another MD5.
    """
    _, kind, _ = _parts(place)
    try:
        check_vision(place, folder)
    except DataError as absent:
        for archive in kind.archives:
            download_archive(archive, vision_root(folder) / kind.unpack_to, report, absent)
        check_vision(place, folder)


def open_vision(place: str, folder: Path) -> LabelledImages:
    """Open one split with torchvision's own class.

    EuroSAT has no official split: `all` is everything, `test` a fifth of each class drawn by a fixed seed, `train` the
    rest. CIFAR files are pickles, which torchvision reads only when their MD5 is the published one.

    Raises
    ------
    DataError : not there, not complete, or damaged.
    """
    check_vision(place, folder)
    from torchvision import datasets

    name, kind, split = _parts(place)
    root = vision_root(folder)
    again = f"delete {root / kind.place} and run heatdrift fetch again"
    with decoding(lambda said: DataError(f"torchvision cannot read {name} in {root / kind.place}: {said}", hint=again)):
        loaded = getattr(datasets, name)(root, **kind.splits[split])
    return _OPEN[name](f"torchvision:{place}", root, kind, split, loaded)


def _open_cifar(source: str, root: Path, kind: VisionSet, split: str, loaded: Any) -> LabelledImages:  # noqa: ANN401
    used = ("test", "test_batch") if split == "test" else ("train", *(f"data_batch_{i}" for i in range(1, 6)))
    paths = [root / kind.place / name for name in kind.needed if name in used]
    pixels: NDArray[np.uint8] = loaded.data
    labels = np.array(loaded.targets, dtype=np.int64)
    return _images(
        source, root, paths, labels, loaded.classes, lambda position: Image.fromarray(pixels[position]), "row {}".format
    )


def _open_files(source: str, root: Path, kind: VisionSet, split: str, loaded: Any) -> LabelledImages:  # noqa: ANN401
    """Open a data set of picture files: those that torchvision lists, in its order."""
    if kind.place == "eurosat":
        pairs = [(Path(path), label) for path, label in loaded.samples]
        labels = np.array([label for _, label in pairs], dtype=np.int64)
        chosen = eurosat_split(labels, split)
        paths, labels = [pairs[position][0] for position in chosen.tolist()], labels[chosen]
    else:
        paths, labels = list(loaded._images), np.array(loaded._labels, dtype=np.int64)

    def read(position: int) -> Image.Image:
        return decode_image(picture_bytes(paths[position]), str(paths[position]))

    return _images(
        source, root, paths, labels, loaded.classes, read, lambda position: relative_name(paths[position], root)
    )


def eurosat_split(labels: NDArray[np.int64], split: str) -> NDArray[np.int64]:
    """Positions of `split`: "all", "test" (a fifth of each class, drawn by a fixed seed) or "train" (the rest)."""
    generator = np.random.Generator(np.random.PCG64(EUROSAT_SPLIT_SEED))
    test = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        test.append(members[: round(EUROSAT_TEST_FRACTION * len(members))])
    drawn = np.sort(np.concatenate(test))
    every = np.arange(len(labels))
    return {"all": every, "test": drawn, "train": np.setdiff1d(every, drawn)}[split]


def _images(
    source: str,
    root: Path,
    paths: list[Path],
    labels: NDArray[np.int64],
    names: list[str],
    read: Callable[[int], Image.Image],
    name: Callable[[int], str],
) -> LabelledImages:
    check_labels(labels, len(names), source)
    files = entries(paths, root)
    return LabelledImages(
        source=source,
        sha256=content_sha256(files),
        labels=labels,
        class_names=tuple(readable(name) for name in names),
        read=read,
        name=name,
        source_names=tuple(names),
        files=files,
    )


_OPEN: Final[dict[str, Callable[[str, Path, VisionSet, str, Any], LabelledImages]]] = {
    "EuroSAT": _open_files,
    "OxfordIIITPet": _open_files,
    "CIFAR10": _open_cifar,
    "CIFAR100": _open_cifar,
}
