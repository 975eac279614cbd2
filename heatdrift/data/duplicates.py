"""Pictures that are there twice: exactly (the same pixels) or nearly (a perceptual hash), within and across sets.

A test picture that the model was trained on makes accuracy too high, and one picture under two labels cannot be learnt.

Near ones are found by a 64-bit pHash (the signs of the lowest 8 x 8 cosine coefficients of the grey picture at 32 x 32,
against their median; after Marr-Hildreth and DCT hashes in C. Zauner, Implementation and Benchmarking of Perceptual
Image Hash Functions, 2010) and confirmed by the colours of the picture at 8 x 8, because a hash of shapes alone takes
one can of drink for another. They are for people to look at: a rendering of the same thing may be meant.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from heatdrift.data.crop_cache import CHUNK, cores
from heatdrift.data.images import LabelledImages
from heatdrift.errors import DataError

HASH_BITS: Final = 10  # of 64 that may differ between near duplicates
COLOUR: Final = 8.0  # mean difference of the 8 x 8 colours, of 255
FLAT: Final = 2.0  # standard deviation of grey below which a picture has no shapes to compare
MOST_NEAR: Final = 100_000  # pairs listed; a set of blank pictures would have millions
_SIDE, _LOW, _COLOURS = 32, 8, 8
_BLOCK: Final = 4_000_000  # hashes compared at once: 32 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """What is kept of every picture of a set to find it again.

    Attributes
    ----------
    pixels : (n,) SHA-256 of size and pixels; empty for what does not decode.
    shapes : (n,) uint64 pHash.
    colours : (n, 192) int16, the picture at 8 x 8 in RGB.
    comparable : (n,) whether there are shapes to compare: decoded, and not flat.
    sizes : (n, 2) int64 width and height in pixels; 0 for what does not decode.
    """

    pixels: tuple[bytes, ...]
    shapes: NDArray[np.uint64]
    colours: NDArray[np.int16]
    comparable: NDArray[np.bool_]
    sizes: NDArray[np.int64]

    @property
    def unreadable(self) -> NDArray[np.int64]:
        """Positions of the pictures that do not decode."""
        return np.flatnonzero([not digest for digest in self.pixels])


@dataclass(frozen=True, slots=True)
class Copy:
    """Two pictures that are one: number of the set and position in it, of both; `bits` of the hash that differ."""

    first: tuple[int, int]
    second: tuple[int, int]
    exact: bool
    bits: int = 0


def fingerprints(images: LabelledImages, report: Callable[[int], object] = lambda _done: None) -> Fingerprints:
    """Decode every picture once, with all cores; what does not decode is kept as such, not raised."""
    n = len(images)
    pixels: list[bytes] = []
    colours = np.zeros((n, _COLOURS * _COLOURS * 3), dtype=np.int16)
    sizes = np.zeros((n, 2), dtype=np.int64)
    shapes = np.zeros(n, dtype=np.uint64)
    comparable = np.zeros(n, dtype=np.bool_)
    grey = np.zeros((CHUNK, _SIDE, _SIDE), dtype=np.float32)

    def look(position: int) -> bytes:
        try:
            picture = images.read(position)
        except DataError:
            grey[position % CHUNK] = 0
            return b""
        sizes[position] = picture.size
        grey[position % CHUNK] = np.asarray(picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
        colours[position] = np.asarray(picture.resize((_COLOURS, _COLOURS), Image.Resampling.BOX)).ravel()
        return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).digest()

    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, n, CHUNK):
            stop = min(start + CHUNK, n)
            pixels += pool.map(look, range(start, stop))
            shapes[start:stop] = _shapes(grey[: stop - start])
            comparable[start:stop] = grey[: stop - start].std(axis=(1, 2)) >= FLAT
            report(stop)
    return Fingerprints(pixels=tuple(pixels), shapes=shapes, colours=colours, comparable=comparable, sizes=sizes)


def _shapes(grey: NDArray[np.float32]) -> NDArray[np.uint64]:
    """64-bit pHash of grey pictures, (n, 32, 32); the constant term says nothing of shapes and is left out."""
    low = dctn(grey, axes=(1, 2), norm="ortho")[:, :_LOW, :_LOW].reshape(len(grey), -1)
    above = low > np.median(low[:, 1:], axis=1, keepdims=True)
    above[:, 0] = False
    return np.packbits(above, axis=1).view(np.uint64).ravel()


def copies(sets: Sequence[Fingerprints], report: Callable[[int], object] = lambda _done: None) -> tuple[Copy, ...]:
    """Pairs of pictures that are one, exact ones first.

    Of pictures with the same pixels each further one is paired with the first, and only the first is compared with
    others, so that k copies are k - 1 pairs. At most `MOST_NEAR` near pairs are listed.
    """
    where = [(number, position) for number, one in enumerate(sets) for position in range(len(one.pixels))]
    if not where:
        return ()
    found, seen = list[Copy](), dict[bytes, int]()
    distinct = np.concatenate([one.comparable for one in sets])
    for place, digest in enumerate(digest for one in sets for digest in one.pixels):
        if digest and seen.setdefault(digest, place) != place:
            found.append(Copy(where[seen[digest]], where[place], exact=True))
            distinct[place] = False
    rows = np.flatnonzero(distinct)
    shapes = np.concatenate([one.shapes for one in sets])[rows]
    colours = np.concatenate([one.colours for one in sets])[rows]
    for a, b, bits in islice(_near(shapes, colours, report), MOST_NEAR):
        found.append(Copy(where[rows[a]], where[rows[b]], exact=False, bits=bits))
    return tuple(found)


def _near(
    shapes: NDArray[np.uint64], colours: NDArray[np.int16], report: Callable[[int], object]
) -> Iterator[tuple[int, int, int]]:
    n = len(shapes)
    step = max(1, _BLOCK // max(n, 1))
    for start in range(0, n, step):
        block = shapes[start : start + step]
        bits = np.bitwise_count(block[:, None] ^ shapes[None, start:])
        first, second = np.nonzero(bits <= HASH_BITS)
        later = first < second
        first, second = first[later], second[later]
        difference = np.abs(colours[first + start] - colours[second + start]).mean(axis=1, dtype=np.float64)
        for i in np.flatnonzero(difference <= COLOUR).tolist():
            a, b = int(first[i]), int(second[i])
            yield a + start, b + start, int(bits[a, b])
        report(min(start + step, n))


def by_sets(found: Sequence[Copy], n_sets: int) -> dict[tuple[int, int], tuple[Copy, ...]]:
    """Return pairs of sets (the same twice: within it) -> their copies, of those that have any."""
    every = [*((i, i) for i in range(n_sets)), *combinations(range(n_sets), 2)]
    sorted_pairs = {pair: [c for c in found if (c.first[0], c.second[0]) == pair] for pair in every}
    return {pair: tuple(some) for pair, some in sorted_pairs.items() if some}
