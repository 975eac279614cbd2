"""The names of a remote: each says what its content is, so that a half-written or changed object is known as one.

::

    <study>/<cell_id>/<sha256>.json                     a finished record
    <study>/<cell_id>/<sha256>.hits-<sha256>.npz        its arrays, by the record's hash and their own; also gallery
    <study>/plan-<sha256>.json                          what training set out to do
    _parts/<part>/<sha256>.parquet, <sha256>.json       files of a bulk part, and its part.json
    _points/<sha256>.json                               reference points

The hash of a record is that of its content without the attempt's number, which every store gives by itself: the same
attempt has the same name from wherever it comes, and two different ones of a cell never share a name.
"""

import hashlib
import re
from typing import Final, get_args

import msgspec

from heatdrift.records import RunRecord
from heatdrift.store.checksum import encode_record, split_checksum
from heatdrift.store.folder import ArrayKind
from heatdrift.store.validate import NAME

CellKey = tuple[str, str]  # study, cell_id
_SHA: Final = "([0-9a-f]{64})"
_RECORD: Final = re.compile(rf"({NAME.pattern})/({NAME.pattern})/{_SHA}\.json")
_ARRAYS: Final = re.compile(rf"({NAME.pattern})/({NAME.pattern})/{_SHA}\.({'|'.join(get_args(ArrayKind))})-{_SHA}\.npz")
_FILE: Final = re.compile(
    rf"(?:{NAME.pattern}/plan-{_SHA}\.json|_points/{_SHA}\.json|_parts/[0-9a-f]{{64}}/{_SHA}\.(?:json|parquet))"
)


class RemoteCell(msgspec.Struct):
    """What a remote has of a cell: record hash -> bytes; (record hash, kind) -> name -> bytes of its arrays.

    There is more than one file of a kind only where results of single images were added later, or one is no whole one.
    """

    records: dict[str, int] = {}
    arrays: dict[tuple[str, str], dict[str, int]] = {}

    def has_arrays(self, sha256: str, kind: str, size: int) -> bool:
        """Whether there is an array file of that many bytes for a record."""
        return size in self.arrays.get((sha256, kind), {}).values()


class Listing:
    """What a remote holds, by cell; what has no name of ours is passed over."""

    def __init__(self, names: dict[str, int]) -> None:
        self.cells: dict[CellKey, RemoteCell] = {}
        self.files: dict[str, int] = {}
        self.is_store = False
        for name, size in sorted(names.items()):
            self.add(name, size)

    def add(self, name: str, size: int) -> None:
        """Take one more object into the listing."""
        if record := _RECORD.fullmatch(name):
            self._cell(record[1], record[2]).records[record[3]] = size
        elif arrays := _ARRAYS.fullmatch(name):
            self._cell(arrays[1], arrays[2]).arrays.setdefault((arrays[3], arrays[4]), {})[name] = size
        elif _FILE.fullmatch(name):
            self.files[name] = size
        else:
            self.is_store |= name.count("/") == 2 and name.endswith("/record.json")

    def _cell(self, study: str, cell_id: str) -> RemoteCell:
        return self.cells.setdefault((study, cell_id), RemoteCell())


def record_name(key: CellKey, sha256: str) -> str:
    """Return the name of a record."""
    return f"{key[0]}/{key[1]}/{sha256}.json"


def arrays_name(key: CellKey, sha256: str, kind: str, data: bytes) -> str:
    """Return the name of the arrays `data` of the record `sha256`."""
    return f"{key[0]}/{key[1]}/{sha256}.{kind}-{digest(data)}.npz"


def remote_bytes(record: RunRecord) -> tuple[str, bytes]:
    """Return a record's hash and the bytes that a remote has of it: as attempt 1, whatever its number here."""
    data = encode_record(msgspec.structs.replace(record, attempt=1))
    sha256 = split_checksum(data)[1]
    assert sha256 is not None, "encode_record seals"
    return sha256, data


def stated_digest(name: str) -> str:
    """Return the hash that the name of an object states of its bytes (not that of a record, which is of its body)."""
    return name.rpartition(".")[0][-64:]


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data`, in hex."""
    return hashlib.sha256(data).hexdigest()
