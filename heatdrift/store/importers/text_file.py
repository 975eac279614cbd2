"""Bytes of a file that holds text -> the text: gzip, byte order marks, UTF-16, and what is not UTF-8."""

import gzip
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.decoding import decoding
from heatdrift.errors import DataError

MOST_BYTES: Final = 2**30  # of a table of runs, unpacked; more belongs into a bulk part
MOST_RATIO: Final = 200  # of what gzip holds to its file; tables of numbers have 3 to 10
_SMALL: Final = 64 * 2**20  # bytes that are unpacked whatever the ratio
_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8 with a byte order mark"),
    (b"\xff\xfe", "utf-16", "UTF-16"),
    (b"\xfe\xff", "utf-16", "UTF-16"),
)
_NO_TEXT: Final = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
}


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a file, and how it was read: `gzip, latin-1`; empty for plain UTF-8."""

    text: str
    read_as: str


def read_text(path: Path) -> Text:
    """Read a text file, unpacked where it is gzip (by its bytes, whatever its name).

    Raises
    ------
    DataError
        The file cannot be read, is too large or damaged, or holds no text.
    """
    data, said = _bytes(path)
    for start, what in _NO_TEXT.items():
        if data.startswith(start):
            raise DataError(f"{path} is no text: it is {what}", hint="export it as CSV or Parquet, with that suffix")
    encoding, words = next(((e, w) for mark, e, w in _MARKS if data.startswith(mark)), ("", ""))
    if not encoding:
        encoding, words = _unmarked(data)
    with decoding(lambda said: DataError(f"{path} is not readable as {words}: {said}", hint="save it as UTF-8")):
        text = data.decode(encoding)
    if "\x00" in text:
        raise DataError(f"{path} is no text: it holds zero bytes", hint="export it as CSV or Parquet")
    return Text(text=text, read_as=", ".join([*said, *([words] if words else [])]))


def _bytes(path: Path) -> tuple[bytes, list[str]]:
    with decoding(lambda said: DataError(f"cannot read {path}: {said}", hint="name a CSV, Parquet or JSON table")):
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        size = path.stat().st_size
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        most = min(MOST_BYTES, max(_SMALL, MOST_RATIO * size)) if packed else MOST_BYTES
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            data = stream.read(most + 1)
    if len(data) > most:
        unpacked = f" unpacked, {most / max(size, 1):,.0f} times its size" if packed else ""
        raise DataError(
            f"{path} is larger than {most // 2**20} MiB{unpacked}",
            hint="write runs.parquet with the columns of docs/schema.md and import its folder --format heatdrift",
        )
    return data, ["gzip"] if packed else []


def _unmarked(data: bytes) -> tuple[str, str]:
    """Tell the encoding of what has no mark: UTF-16 has a zero in every second byte, UTF-8 decodes, else latin-1."""
    start = data[:2000]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = start[offset::2]
        if len(half) > 3 and half.count(0) > len(half) / 2:
            return encoding, "UTF-16 without a mark"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        # what Windows calls latin-1 has letters where the standard has control characters
        try:
            data.decode("cp1252")
        except UnicodeDecodeError:
            return "latin-1", "latin-1 (it is not UTF-8)"
        return "cp1252", "latin-1 (it is not UTF-8)"
    return "utf-8", ""
