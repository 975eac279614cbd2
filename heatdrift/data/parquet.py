"""``parquet:PATH``: one file, or the shards that a pattern names, with a column of pictures and one of labels.

Pictures are bytes, the hub's struct of bytes and path, or paths of files next to it (``picture_paths.py``). Class names
come from text labels (``label_column.py``), a column label_name, or the ClassLabel that the hub's `datasets` library
writes into the schema.
"""

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from PIL import Image

from heatdrift.config import WHERE_DATA_LIES, Reading
from heatdrift.data.columns import read_columns, read_schema
from heatdrift.data.files import content_sha256, entries, picture_bytes, relative_name
from heatdrift.data.images import LabelledImages, decode_image, readable
from heatdrift.data.label_column import LabelColumn, label_values, read_classes
from heatdrift.data.picture_paths import named_pictures
from heatdrift.decoding import or_none
from heatdrift.errors import DataError

IMAGE_COLUMNS: Final = ("image", "img")  # in order of preference
LABEL_COLUMNS: Final = ("label", "labels", "fine_label")
NAME_COLUMN: Final = "label_name"
AS_IT_LIES: Final = Reading()


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What is known of a file's columns beyond their types: which hold pictures, and the class names of labels."""

    images: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shard:
    path: Path
    images: pa.ChunkedArray
    labels: LabelColumn
    named: Mapping[int, Path]


def shard_paths(place: str, folder: Path) -> tuple[Path, ...]:
    """Return the file `place`, the Parquet files of a folder, or those that a pattern matches, sorted.

    Relative ones lie in `folder`; ``**`` in a pattern stands for folders at any depth.

    Raises
    ------
    DataError : nothing is there.
    """
    if (folder / place).is_file():
        return (folder / place,)
    pattern = f"{place.rstrip('/')}/*.parquet" if (folder / place).is_dir() else place
    matches = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207  Path.glob takes no absolute pattern
    files = tuple(folder / name for name in matches if (folder / name).is_file())
    if not files:
        raise DataError(f"there is no file {folder / place}", hint=WHERE_DATA_LIES)
    return files


def parquet_sha256(place: str, folder: Path, reading: Reading = AS_IT_LIES) -> str:
    """Content hash of a ``parquet:`` source: of the bytes of one file, or over all shards."""
    paths = shard_paths(place, folder)
    named = [picture for path in paths for picture in _named(path, None, reading).values()]
    return content_sha256(entries((*paths, *dict.fromkeys(named)), _common_folder(paths)))


def _named(path: Path, card: Features | None, reading: Reading) -> Mapping[int, Path]:
    """Files of the pictures that a shard names instead of holding; none for what is no table of pictures at all."""
    try:
        schema = read_schema(path)
    except DataError:
        return {}  # opening it says what is wrong
    features = _schema_features(schema) or card or Features()
    column = _find(reading.image, features.images, IMAGE_COLUMNS, schema)
    return named_pictures(path, column) if column is not None else {}


def _common_folder(paths: Sequence[Path]) -> Path:
    """The folder that names are relative to, so that moving a source changes nothing."""
    return Path(os.path.commonpath([path.parent for path in paths]))


def open_parquet(place: str, folder: Path, reading: Reading = AS_IT_LIES) -> LabelledImages:
    """Read labels and encoded pictures of one or several Parquet files; pictures are decoded on demand.

    `reading` names columns, and the number of the first class.

    Raises
    ------
    DataError : no such file, truncated or not Parquet, a column missing, a label out of range.
    """
    paths = shard_paths(place, folder)
    return read_shards(paths, root=_common_folder(paths), source=f"parquet:{place}", reading=reading)


def read_shards(
    paths: Sequence[Path],
    *,
    root: Path,
    source: str,
    card: Features | None = None,
    revision: str | None = None,
    reading: Reading = AS_IT_LIES,
) -> LabelledImages:
    """Read shards in the given order as one source; `card` says what the files themselves do not.

    Raises
    ------
    DataError : as :func:`open_parquet`; shards whose class names differ.
    """
    shards = [_read_shard(path, card, reading) for path in paths]
    files = entries((*paths, *dict.fromkeys(p for shard in shards for p in shard.named.values())), root)
    where = str(paths[0]) if len(paths) == 1 else source
    found = read_classes(
        [shard.labels for shard in shards],
        labels_from=reading.labels_from or 0,
        where=where,
        chosen=reading.classes is not None,
    )
    starts = np.cumsum([0, *(len(shard.images) for shard in shards)])

    def locate(position: int) -> tuple[_Shard, int]:
        number = int(np.searchsorted(starts, position, side="right")) - 1
        return shards[number], position - int(starts[number])

    def name(position: int) -> str:
        shard, row = locate(position)
        return f"{relative_name(shard.path, root)} row {row}"

    def read(position: int) -> Image.Image:
        shard, row = locate(position)
        if row in shard.named:
            return decode_image(picture_bytes(shard.named[row]), str(shard.named[row]))
        value = shard.images[row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        return decode_image(data or b"", f"{shard.path} row {row}")

    return LabelledImages(
        source=source,
        sha256=content_sha256(files),
        labels=found.labels,
        class_names=tuple(readable(name) for name in found.shown),
        read=read,
        name=name,
        source_names=found.names,
        numbers=found.numbers,
        first_number=reading.labels_from or 0,
        unused=found.unused,
        revision=revision,
        files=files,
    )


def _read_shard(path: Path, card: Features | None, reading: Reading) -> _Shard:
    schema = read_schema(path)
    features = _schema_features(schema) or card or Features()
    image = _column("image", reading.image, features.images, IMAGE_COLUMNS, schema, path)
    label = _column("label", reading.label, tuple(features.labels), LABEL_COLUMNS, schema, path)
    names = NAME_COLUMN if NAME_COLUMN in schema.names and reading.label in (None, *LABEL_COLUMNS) else None
    wanted = list(dict.fromkeys([image, label, *([names] if names else [])]))
    table = read_columns(path, wanted)
    labels = LabelColumn(
        values=label_values(table[label], label, str(path)),
        declared=features.labels.get(label, ()),
        row_names=table[names].to_pylist() if names else None,
    )
    kind = table[image].type
    named = _named(path, card, reading)
    holds = pa.types.is_struct(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if not (holds or len(named) == table.num_rows):
        problem = f"{path}: column {image} holds {kind}, not encoded pictures"
        raise DataError(problem, hint="it must hold the bytes of JPEG or PNG files, or the hub's struct of them")
    return _Shard(
        path=path,
        images=table[image],
        labels=labels,
        named=named,
    )


def _schema_features(schema: pa.Schema) -> Features | None:
    """What the hub's `datasets` library wrote into the schema; None if it wrote nothing."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return None

    def declared() -> Features:
        features = msgspec.json.decode(written)["info"]["features"]
        kinds = {name: feature for name, feature in features.items() if isinstance(feature, dict)}
        return Features(
            images=tuple(name for name, feature in kinds.items() if feature.get("_type") == "Image"),
            labels={
                name: tuple(map(str, feature.get("names") or ()))
                for name, feature in kinds.items()
                if feature.get("_type") == "ClassLabel"
            },
        )

    return or_none(declared)  # None for another program's note under the same key


def _column(
    key: str, asked: str | None, declared: Sequence[str], usual: Sequence[str], schema: pa.Schema, path: Path
) -> str:
    """The column that `_find` finds; DataError where there is none."""
    chosen = _find(asked, declared, usual, schema)
    if chosen is None:
        problem = f"{path} has no column {asked or usual[0]!r} (it has {', '.join(schema.names)})"
        hint = f'name it in the study file: {key} = "COLUMN"; columns needed: image, label; label_name for prompts'
        raise DataError(problem, hint=hint)
    return chosen


def _find(asked: str | None, declared: Sequence[str], usual: Sequence[str], schema: pa.Schema) -> str | None:
    """The column that the study asks for, else the one with a usual name, else the only declared one."""
    if asked is not None:
        return asked if asked in schema.names else None
    among = [name for name in declared if name in schema.names] or schema.names
    chosen = next((name for name in usual if name in among), None)
    if chosen is None and declared and len(among) == 1:
        chosen = among[0]
    return None if chosen is None else str(chosen)
