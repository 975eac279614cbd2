"""hits.npz against the record next to it: results of single images must give the accuracies that the record has."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from heatdrift.errors import DataError, RecordError
from heatdrift.image_results import ImageResults, image_results, transfer_sets
from heatdrift.records import FINISHED, TransferRecord
from heatdrift.store.folder import current_record

ROUNDED: Final = 0.06  # points: accuracies of other tools are often kept with one decimal


def hits_problems(arrays: Mapping[str, npt.NDArray[Any]], stated: Sequence[TransferRecord]) -> Iterator[str]:
    """Yield what is wrong with the arrays of a ``hits.npz``, by themselves and against the accuracies of its record."""
    by_set = {transfer.transfer_set: transfer for transfer in stated}
    for name in transfer_sets(arrays):
        try:
            found = image_results(arrays, name)
        except DataError as error:
            yield error.message
            continue
        if found is not None and name in by_set:
            yield from disagreements(found, by_set[name])


def disagreements(found: ImageResults, stated: TransferRecord) -> Iterator[str]:
    """Yield how results of single images differ from the number of images and accuracies that a record states."""
    name = stated.transfer_set
    if found.n != stated.n_images:
        yield f"per-image results of {name} are of {found.n} images, the record's accuracies of {stated.n_images}"
        return
    for which, hits, pct in (("base", found.base, stated.base_pct), ("adapted", found.adapted, stated.adapted_pct)):
        own = 100.0 * float(np.mean(hits))
        if abs(own - pct) > ROUNDED:
            yield f"per-image results of {name} give {own:.2f} % for the {which} model, the record says {pct:.2f} %"


def stated_transfers(folder: Path) -> tuple[TransferRecord, ...]:
    """Return the evaluations that a cell's current record states; none without a readable, finished record."""
    try:
        record = current_record(folder)
    except RecordError:
        return ()  # reported with the record
    return record.transfer if record is not None and record.status in FINISHED else ()
