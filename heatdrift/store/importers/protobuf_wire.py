"""The fields of a protobuf message, as the trackers' own files hold them, without the tracker's package.

The wire format is public (protobuf.dev/programming-guides/encoding): a key, three bits of which are the type, and the
value. Unknown fields are passed over, so a newer tracker's file is read as an older one's.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

Field = tuple[int, int | bytes]  # number, and the value: a whole number, or the bytes of anything else
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_SIZES: Final = {_EIGHT: 8, _FOUR: 4}


def fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Raises
    ------
    ValueError
        The bytes are no message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"field {number} has the unknown type {kind}")
        if at + size > len(message):
            raise ValueError(f"field {number} ends after the message")
        yield number, message[at : at + size]
        at += size


def part(message: bytes, number: int) -> bytes | None:
    """Return the bytes of a field, the last one of that number; None without one."""
    return next(reversed(parts(message, number)), None)


def parts(message: bytes, number: int) -> Sequence[bytes]:
    """Return the bytes of all fields of that number."""
    return [value for found, value in fields(message) if found == number and isinstance(value, bytes)]


def whole(message: bytes, number: int, default: int = 0) -> int:
    """Return a whole number that is not below 0; `default` where the field is absent."""
    return next((value for found, value in fields(message) if found == number and isinstance(value, int)), default)


def texts(message: bytes, number: int) -> list[str]:
    """Return the texts of all fields of that number."""
    return [value.decode("utf-8", "replace") for value in parts(message, number)]


def single(packed: bytes) -> float:
    """Return the decimal number with the fewest digits that is this one in single precision: 0.6, not 0.60000002."""
    (value,) = struct.unpack("<f", packed)
    if value != value or value in (float("inf"), float("-inf")):
        return float(value)
    return next(
        short
        for digits in range(1, 10)
        if struct.pack("<f", short := float(f"{value:.{digits}g}")) == packed or digits == 9
    )


def double(packed: bytes) -> float:
    """Return a number of double precision."""
    return float(struct.unpack("<d", packed)[0])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a number ends after the message")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
