"""Which data sets lie in a folder: class folders or Parquet files, with or without splits, as people keep them.

Only names are looked at; what is found is opened, counted and checked by those who use it.
"""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from heatdrift.data.class_folder import passed_over
from heatdrift.data.class_tree import PICTURES
from heatdrift.errors import DataError

Split = Literal["train", "test", "val"]
_WORDS: Final[dict[str, Split]] = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
}
_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")
_SPLIT: Final = re.compile(rf"(?:^|[-_. ])({'|'.join(_WORDS)})$", re.IGNORECASE)
_LOOKED_AT: Final = 50  # entries of a class folder before it counts as one without pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSet:
    """One data set.

    Attributes
    ----------
    name : of its folder or files.
    splits : split -> source string, its path below the folder that was searched; "train" alone may be all there is.
    """

    name: str
    splits: dict[Split, str]

    @property
    def held_out(self) -> str | None:
        """Source of the images to test on: the test split, else the validation split, else None."""
        return self.splits.get("test", self.splits.get("val"))


def without_split(stem: str) -> str:
    """Name of a file or folder without the split at its end, if there is more to it."""
    match = _SPLIT.search(stem)
    return stem[: match.start()] or stem if match else stem


def find_sets(folder: Path) -> tuple[FoundSet, ...]:
    """Look for data sets in `folder`: itself one, or a folder of several.

    A data set is Parquet files whose names say their splits (``birds_train.parquet``, ``data/test-00000-of-00002``), a
    folder with ``train`` and ``test`` or ``val`` folders of class folders, or class folders alone (one split).

    Raises
    ------
    DataError : no folder, or nothing in it that is a data set; the message says what lies there.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", hint="--from FOLDER: a folder of pictures")
    found = _data_set(folder, folder.resolve().name) or tuple(
        inner for path in _folders(folder) for inner in _data_set(path, path.name) if inner.splits.keys() - {"train"}
    )
    one_split = _class_folders_alone(folder)
    if found:
        return tuple(
            FoundSet(name=one.name, splits={split: _below(source, folder) for split, source in one.splits.items()})
            for one in found
        )
    if one_split:
        return (FoundSet(name=folder.resolve().name, splits={"train": "folder:."}),)
    loose = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    if loose:
        problem = f"{folder} holds {len(loose)} pictures and no class folders, so nobody knows their classes"
        raise DataError(problem, hint="put them into a folder per class: FOLDER/train/CLASS/picture.jpg")
    raise DataError(
        f"no pictures found in {folder}",
        hint="it may hold train and val folders of class folders, class folders alone, or Parquet files",
    )


def _data_set(folder: Path, name: str) -> tuple[FoundSet, ...]:
    """Data sets of a folder that are Parquet files, else the one of its split folders; paths are whole."""
    return _parquet_sets(folder, name) or _split_folders(folder, name)


def _parquet_sets(folder: Path, name: str) -> tuple[FoundSet, ...]:
    files = sorted(path for place in (folder, folder / "data") if place.is_dir() for path in place.glob("*.parquet"))
    sets: dict[str, dict[Split, str]] = {}
    for path in files:
        stem = _SHARD.sub("", path.stem)
        match = _SPLIT.search(stem)
        split: Split = _WORDS[match[1].lower()] if match else "train"
        own = stem[: match.start()] if match else stem
        pattern = path.with_name(f"{stem}-*.parquet") if stem != path.stem else path
        sets.setdefault(own or name, {}).setdefault(split, f"parquet:{pattern}")
    return tuple(FoundSet(name=own, splits=splits) for own, splits in sets.items())


def _split_folders(folder: Path, name: str) -> tuple[FoundSet, ...]:
    splits: dict[Split, str] = {}
    for path in _folders(folder):
        split = _WORDS.get(path.name.lower())
        if split is not None and _class_folders_alone(path):
            splits.setdefault(split, f"folder:{path}")
    return (FoundSet(name=name, splits=splits),) if "train" in splits and len(splits) > 1 else ()


def _class_folders_alone(folder: Path) -> bool:
    """Whether at least two folders in `folder` hold pictures, themselves or one level deeper."""
    holding = (path for path in _folders(folder) if _has_picture(path) or any(map(_has_picture, _folders(path))))
    return len(list(islice(holding, 2))) == 2


def _has_picture(folder: Path) -> bool:
    entries = islice(folder.iterdir(), _LOOKED_AT)
    return any(path.suffix.lower() in PICTURES for path in entries)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not passed_over(path.name))


def _below(source: str, folder: Path) -> str:
    kind, _, place = source.partition(":")
    return f"{kind}:{Path(place).relative_to(folder).as_posix()}"
