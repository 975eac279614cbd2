"""``parquet:PATH``: one file with columns image (bytes, or the hub's struct of bytes and path), label, label_name."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from heatdrift.data.images import LabelledImages, check_labels, decode_image, readable
from heatdrift.errors import DataError

_NEEDED = ("image", "label")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; DataError if it is not there."""
    if not path.is_file():
        hint = "give the folder with --data-dir, data_dir in heatdrift.toml, or HEATDRIFT_DATA"
        raise DataError(f"there is no file {path}", hint=hint)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_parquet(path: Path, source: str) -> LabelledImages:
    """Read labels and encoded pictures of one Parquet file; pictures are decoded on demand.

    Raises
    ------
    DataError : no such file, truncated or not Parquet, a column missing, a label out of range.
    """
    sha256 = file_sha256(path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        problem = f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}"
        raise DataError(problem, hint="it may be truncated: copy or download it again") from error
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        have = ", ".join(table.column_names)
        problem = f"{path} has no column {missing[0]!r} (it has {have})"
        raise DataError(problem, hint="columns needed: image, label; label_name for zero-shot prompts")
    if table["label"].null_count or not pa.types.is_integer(table["label"].type):
        raise DataError(
            f"{path}: column label must hold whole numbers and no NULL", hint="mend the labels of the source"
        )
    labels = table["label"].to_numpy().astype(np.int64)
    names = _class_names(table, labels, path)
    check_labels(labels, len(names), str(path))
    images = table["image"]
    encoded = pa.types.is_struct(images.type)
    cells = images.combine_chunks()
    payload = cells.field("bytes") if encoded else cells

    def read(position: int) -> Image.Image:
        data = payload[position].as_py()
        return decode_image(data or b"", f"{path} row {position}")

    return LabelledImages(source=source, sha256=sha256, labels=labels, class_names=names, read=read)


def _class_names(table: pa.Table, labels: np.ndarray, path: Path) -> tuple[str, ...]:
    if "label_name" not in table.column_names:
        return tuple(f"class {i}" for i in range(int(labels.max()) + 1))
    names: dict[int, str] = {}
    for label, name in zip(labels.tolist(), table["label_name"].to_pylist(), strict=True):
        if names.setdefault(label, name) != name:
            problem = f"{path}: label {label} has two names, {names[label]!r} and {name!r}"
            raise DataError(problem, hint="mend label_name in the source")
    known = range(max(names) + 1)
    return tuple(readable(names.get(label, f"class {label}")) for label in known)
