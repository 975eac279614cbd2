"""The checksum that a record carries: its last key, ``content_sha256``, over the bytes of the record without that key.

It tells a record that was changed after it was written (a flipped bit, an edited accuracy) from one that was not. It is
no signature: who edits a record on purpose can compute it anew, or remove it, which leaves an unverified record.
"""

import hashlib
import re
from typing import Final

import msgspec

from heatdrift.records import RunRecord

CHECKSUM_KEY: Final = "content_sha256"
_LAST_KEY: Final = re.compile(rb',\s*"content_sha256"\s*:\s*"([^"]*)"\s*\}\s*\Z')
_TAIL_BYTES: Final = 256  # where the last key is looked for: a record may have megabytes


def encode_record(record: RunRecord) -> bytes:
    """Return the bytes of a record file: its JSON with the checksum as the last key."""
    return sealed(msgspec.json.encode(record))


def sealed(body: bytes) -> bytes:
    """Return the JSON object `body` (not empty, without a checksum) with its checksum as the last key."""
    body = body.rstrip()
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"{CHECKSUM_KEY}":"{digest}"}}'.encode()


def split_checksum(data: bytes) -> tuple[bytes, str | None]:
    """Return a record's JSON without its checksum, and the checksum; None for a record that has none."""
    start = max(0, len(data) - _TAIL_BYTES)
    found = _LAST_KEY.search(data[start:])
    if found is None:
        return data, None
    return data[: start + found.start()] + b"}", found[1].decode("ascii", errors="replace")


def checksum_problem(body: bytes, stated: str | None) -> str | None:
    """Return what is wrong when `body` is not what `stated` was computed from; None when it is, or without one."""
    if stated is None or hashlib.sha256(body).hexdigest() == stated:
        return None
    return f"its content was changed after it was written: {CHECKSUM_KEY} does not agree"
