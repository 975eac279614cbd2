"""The border to decoders: what any of them raises becomes an error of ours that names the file.

JSON, TOML, zip, pickle, Parquet, SQLite and picture decoders raise what they like for damaged bytes: RecursionError,
MemoryError, NotImplementedError, struct.error, KeyError, and panics of Rust code, which are no `Exception`. A list of
them is always too short, so whatever reads a file of somebody else's does it inside :func:`decoding` or through
:func:`or_none`, and keeps the block to the decoder's own call: a bug of ours within would look like a damaged file.
"""

import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from heatdrift.errors import HeatdriftError

MOST_LOG: Final = 2 * 2**30  # bytes of a file that a tracker wrote
MOST_TEXT: Final = 64 * 2**20  # bytes of a JSON or TOML file that is decoded at once: ours are below 10 MB
_LONGEST: Final = 300  # characters of a decoder's own words
_ADDRESS: Final = re.compile(r" <[^>]* object at 0x[0-9a-f]+>")  # of the stream that Pillow was given
_PANICS: Final = "pyo3_runtime"  # the module of what Rust code raises when it panics; a BaseException
T = TypeVar("T")


@contextmanager
def decoding(refuse: Callable[[str], HeatdriftError], *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    r"""Raise ``refuse(reason)`` in place of whatever a decoder raises in the block.

    Parameters
    ----------
    refuse : makes the error from the decoder's reason; it names the file.
    but : passed on as they are, for what is no damage (FileNotFoundError where a file may be absent).

    Raises
    ------
    HeatdriftError
        What `refuse` makes. Errors of ours, Ctrl-C, signals and exits go through.

    Examples
    --------
    >>> from heatdrift.errors import DataError
    >>> with decoding(lambda reason: DataError(f"names.json is not JSON: {reason}")):
    ...     b"\xff".decode()
    Traceback (most recent call last):
    heatdrift.errors.DataError: names.json is not JSON: not UTF-8 at byte 0
    """
    try:
        yield
    except BaseException as fault:
        if isinstance(fault, (HeatdriftError, *but)) or not _is_fault(fault):
            raise
        raise refuse(reason_of(fault)) from fault


def or_none(read: Callable[[], T]) -> T | None:
    """Return what `read` returns; None where the file is not there or does not decode, and that stops nothing."""
    try:
        return read()
    except BaseException as fault:
        if not _is_fault(fault):
            raise
        return None


def read_whole(path: Path, *, most: int = MOST_TEXT) -> bytes:
    """Return the bytes of a file, for a block of :func:`decoding`.

    Raises
    ------
    OSError
        It is not there or cannot be read.
    ValueError
        It is no regular file (opening a FIFO would wait for its writer), or has more than `most` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("not a regular file")
    if found.st_size > most:
        raise ValueError(f"{found.st_size / 2**20:,.0f} MiB, more than the limit of {most / 2**20:,.0f}")
    return path.read_bytes()


def reason_of(fault: BaseException) -> str:
    """Return what a decoder's exception says, in one line; the exception's name where it says nothing."""
    if isinstance(fault, UnicodeDecodeError):
        return f"not UTF-8 at byte {fault.start}" if "utf" in fault.encoding else f"not {fault.encoding}"
    if isinstance(fault, RecursionError):
        return "nested too deep"
    if isinstance(fault, MemoryError):
        return "it needs more memory than there is"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    lines = str(fault).strip().splitlines()
    if not lines or isinstance(fault, KeyError):
        return " ".join([type(fault).__name__, *lines])[:_LONGEST]
    return _ADDRESS.sub("", lines[0])[:_LONGEST]


def _is_fault(fault: BaseException) -> bool:
    """Whether an exception can be a decoder's word about its input, not a signal or an exit."""
    return isinstance(fault, Exception) or type(fault).__module__ == _PANICS
