"""Crops kept on disk: decoded and resized once, then memory-mapped by every process and study that wants the same.

A file is named by what its bytes depend on: the content of the source, which pictures in which order, how they are
resized and cropped, and the libraries that do it. Next to it lies the hash of its bytes, written last: a file without
one was left by a process that was killed, and one that does not fit it is damaged; both are made again. One process at
a time makes a file (a lock that the system drops with the process); the others wait for it.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import numpy as np
import PIL
import scipy
import torchvision
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from heatdrift.corruption_plan import RECIPE
from heatdrift.crop_plan import Preprocess
from heatdrift.data.corruptions import corrupted
from heatdrift.data.images import LabelledImages
from heatdrift.data.transforms import crops
from heatdrift.decoding import or_none, read_whole

Crops: TypeAlias = NDArray[np.uint8]
Report = Callable[[int], object]  # takes the number of pictures done

FORMAT: Final = 1
CHUNK: Final = 128  # pictures decoded before they are written: what is held in memory meanwhile


def kept_crops(
    images: LabelledImages,
    positions: NDArray[np.int64],
    preprocess: Preprocess,
    folder: Path | None,
    *,
    report: Report = lambda _done: None,
    on_problem: Callable[[str], object] = lambda _problem: None,
) -> Crops:
    """Return crops as :func:`crops` makes them, from `folder` if they are there, else made and kept there.

    Parameters
    ----------
    folder : where crops are kept; None keeps nothing. Drawn images, which have no files, are never kept.
    report : called with the number of pictures done while crops are made.
    on_problem : called with a sentence where the folder cannot be used: full, read-only, not a folder. The crops are
        then made in memory.

    Returns
    -------
    (len(positions), 3, size, size) uint8, writable without effect on the file.

    Raises
    ------
    DataError : a picture does not decode (named); nothing is kept then.
    """
    if folder is None or not images.files or not len(positions):
        return _made(images, positions, preprocess, report)
    shape = (len(positions), 3, preprocess.size, preprocess.size)
    key = _key(images, positions, preprocess)
    try:
        return _kept(folder, key, shape, lambda: _chunks(images, positions, preprocess, report))
    except OSError as error:
        on_problem(f"crops of {images.source} are not kept in {folder}: {error.strerror or error}")
        return _made(images, positions, preprocess, report)


def kept_corrupted(
    crops_of: Crops,
    kind: str,
    severity: int,
    folder: Path | None,
    *,
    report: Report = lambda _done: None,
    on_problem: Callable[[str], object] = lambda _problem: None,
) -> Crops:
    """Return crops under a corruption (``data/corruptions.py``), kept as those of :func:`kept_crops` are.

    Parameters
    ----------
    crops_of : (n, 3, size, size) uint8.

    Returns
    -------
    (n, 3, size, size) uint8.
    """

    def chunks() -> Iterator[Crops]:
        for start in range(0, len(crops_of), CHUNK):
            part = crops_of[start : start + CHUNK]
            yield np.stack([corrupted(crop, kind, severity) for crop in part])
            report(start + len(part))

    if folder is None or not len(crops_of):
        return np.concatenate(list(chunks())) if len(crops_of) else crops_of
    content = hashlib.sha256(np.ascontiguousarray(crops_of).data).hexdigest()
    versions = (np.__version__, scipy.__version__, PIL.__version__)
    key = hashlib.sha256(msgspec.json.encode((FORMAT, content, RECIPE, kind, severity, versions))).hexdigest()
    try:
        return _kept(folder, key, crops_of.shape, chunks)
    except OSError as error:
        on_problem(f"crops under {kind} {severity} are not kept in {folder}: {error.strerror or error}")
        return np.concatenate(list(chunks()))


def _kept(folder: Path, key: str, shape: tuple[int, ...], chunks: Callable[[], Iterator[Crops]]) -> Crops:
    """Open the file `key` of `folder`, made of `chunks` if it is not there; OSError where the folder cannot be used."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key}.npy"
    found = _opened(path, shape)
    if found is None:
        with _alone(path):
            found = _opened(path, shape)  # another process may have made it meanwhile
            if found is None:
                _write(path, shape, chunks())
                found = _opened(path, shape)
    if found is None:
        raise OSError("what was written is not what is read back")
    return found


def _key(images: LabelledImages, positions: NDArray[np.int64], preprocess: Preprocess) -> str:
    """Hash of all that the bytes depend on."""
    parts = (
        FORMAT,
        images.sha256,
        hashlib.sha256(np.ascontiguousarray(positions, dtype="<i8").tobytes()).hexdigest(),
        (preprocess.size, preprocess.shorter_side, preprocess.interpolation, preprocess.antialias),
        (PIL.__version__, torchvision.__version__),
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _made(images: LabelledImages, positions: NDArray[np.int64], preprocess: Preprocess, report: Report) -> Crops:
    out = np.empty((len(positions), 3, preprocess.size, preprocess.size), dtype=np.uint8)
    start = 0
    for chunk in _chunks(images, positions, preprocess, report):
        out[start : start + len(chunk)] = chunk
        start += len(chunk)
    return out


def _chunks(
    images: LabelledImages, positions: NDArray[np.int64], preprocess: Preprocess, report: Report
) -> Iterator[Crops]:
    """Yield crops in order, decoded by as many threads as there are cores: Pillow works outside of the lock.

    Drawn images are numpy from end to end, which threads would only slow down.
    """
    threads = cores() if images.files else 1
    parts = [positions[start : start + CHUNK] for start in range(0, len(positions), CHUNK)]
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for part in parts:
            pieces = [piece for piece in np.array_split(part, threads) if len(piece)]
            yield np.concatenate(list(pool.map(lambda piece: crops(images, piece, preprocess), pieces)))
            done += len(part)
            report(done)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _opened(path: Path, shape: tuple[int, ...]) -> Crops | None:
    """Return the file as an array of private pages; None where it is absent, unfinished or damaged."""
    expected = or_none(lambda: read_whole(_sidecar(path)).decode("ascii").strip())
    found = or_none(lambda: np.load(path, mmap_mode="c", allow_pickle=False))
    if expected is None or found is None:
        return None
    whole = found.shape == shape and found.dtype == np.uint8 and found.flags.c_contiguous
    if not whole or hashlib.sha256(found.data).hexdigest() != expected:
        return None
    crops_found: Crops = found
    return crops_found


def _write(path: Path, shape: tuple[int, ...], chunks: Iterator[Crops]) -> None:
    """Write array and hash, each under another name first; the hash last, so that it is never there alone."""
    temporary = path.with_suffix(".part")  # one name: the lock keeps other writers out, and a killed one leaves no more
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for chunk in chunks:
                data = np.ascontiguousarray(chunk).data
                file.write(data)
                digest.update(data)
            file.flush()
            os.fsync(file.fileno())
        _sidecar(path).unlink(missing_ok=True)
        temporary.replace(path)
        temporary.write_text(digest.hexdigest(), encoding="ascii")
        temporary.replace(_sidecar(path))
    except BaseException:  # an interruption, too, must not leave half of a large file
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out while a file is made; where the system has no such lock, the last writer wins."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
