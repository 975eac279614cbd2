"""Images without labels that hold a model near its base must not be those that show whether it was held."""

import hashlib
from collections.abc import Iterator

from torch import Tensor

from heatdrift.errors import DataError
from heatdrift.wording import counted


def refuse_shared(name: str, unlabelled: Tensor, transfer_set: str, tested: Tensor) -> None:
    """Compare crops (n, 3, size, size) byte by byte; a copy in another file or under another name is found.

    Raises
    ------
    DataError : crops of `unlabelled` (the images called `name`) are crops of `transfer_set`.
    """
    shared = set(_hashes(unlabelled)) & set(_hashes(tested))
    if shared:
        problem = f"[unlabelled] {name} has {counted(len(shared), 'image')} of transfer set {transfer_set}"
        raise DataError(problem, hint="leave them out: what holds a model must not test it")


def _hashes(crops: Tensor) -> Iterator[bytes]:
    return (hashlib.blake2b(crop.cpu().numpy().tobytes(), digest_size=16).digest() for crop in crops)
