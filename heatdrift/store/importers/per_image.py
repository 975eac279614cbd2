"""Results of single images -> hits.npz of the runs that they belong to: matched first, written when all of them fit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import DataError
from heatdrift.image_results import transfer_sets
from heatdrift.records import TransferRecord
from heatdrift.store.folder import cell_folder, read_arrays, write_arrays
from heatdrift.store.hits import disagreements
from heatdrift.store.importers.per_image_table import RunImages

SAME_LR: Final = 1e-6  # relative: a learning rate may have passed through single precision

Matched = Mapping[tuple[str, str], Mapping[str, npt.NDArray[Any]]]  # (study, cell id) -> arrays of its hits.npz


def match_run_images(
    found: Sequence[RunImages], runs: pl.DataFrame, transfer: pl.DataFrame, folders: Sequence[Path]
) -> Matched:
    """Return what is to be kept for every run.

    Parameters
    ----------
    found : from ``read_run_images``.
    runs, transfer : the views of these names, of the runs that are imported.
    folders : store folders that may hold results of single images of the same runs already.

    Raises
    ------
    DataError
        Results of a run that is not there, or of several; a finished run without results; results that do not give the
        accuracies that the run states, or that differ from those that it has.
    """
    done = runs.filter(pl.col("status") == "done")
    kept: dict[tuple[str, str], dict[str, npt.NDArray[Any]]] = {}
    for images in found:
        study, cell = _cell(images, runs, done)
        _check_stated(images, transfer.filter((pl.col("study") == study) & (pl.col("cell_id") == cell)))
        arrays = images.results.arrays(images.transfer_set)
        for folder in folders:
            _check_earlier(images, arrays, read_arrays(cell_folder(folder, study, cell), "hits"))
        kept.setdefault((study, cell), {}).update(arrays)
    _refuse_gaps(done, kept, tuple(dict.fromkeys(images.transfer_set for images in found)))
    return kept


def write_run_images(matched: Matched, store_folder: Path) -> int:
    """Write the arrays next to what the runs have of other transfer sets; return how many files changed."""
    changed = 0
    for (study, cell), arrays in matched.items():
        folder = cell_folder(store_folder, study, cell)
        earlier = read_arrays(folder, "hits")
        if any(name not in earlier for name in arrays):
            write_arrays(folder, "hits", {**earlier, **arrays})
            changed += 1
    return changed


def _cell(images: RunImages, runs: pl.DataFrame, done: pl.DataFrame) -> tuple[str, str]:
    """Return study and id of the run; DataError unless there is exactly one."""
    is_run = (
        (pl.col("dataset") == images.dataset)
        & (pl.col("method") == images.method)
        & (pl.col("seed") == images.seed)
        & ((pl.col("lr") - images.lr).abs() <= SAME_LR * abs(images.lr))
    )
    if images.backbone is not None:
        is_run = is_run & (pl.col("backbone") == images.backbone)
    rows = done.filter(is_run).select("study", "cell_id").rows()
    if len(rows) == 1:
        study, cell = rows[0]
        return str(study), str(cell)
    if rows:
        raise DataError(
            f"per-image results of {images.named} fit {len(rows)} runs", hint="add a column backbone, or import a "
            "study at a time"
        )  # fmt: skip
    unfinished = runs.filter(is_run)["status"].to_list()
    why = f"that run is {unfinished[0]}" if unfinished else "there is no such run among those imported"
    raise DataError(f"per-image results of {images.named}: {why}", hint="correct the table; nothing was imported")


def _check_stated(images: RunImages, stated: pl.DataFrame) -> None:
    for row in stated.filter(pl.col("transfer_set") == images.transfer_set).iter_rows(named=True):
        record = TransferRecord(
            transfer_set=row["transfer_set"], n_images=row["n_images"], base_pct=row["base_pct"],
            adapted_pct=row["adapted_pct"],
        )  # fmt: skip
        for problem in disagreements(images.results, record):
            raise DataError(f"{images.named}: {problem}", hint="correct the table; nothing was imported")


def _check_earlier(
    images: RunImages, arrays: Mapping[str, npt.NDArray[Any]], earlier: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Refuse other hits for a run that has some; classes may be added to them."""
    differing = [
        name for name, values in arrays.items() if name in earlier and not np.array_equal(values, earlier[name])
    ]
    if differing:
        raise DataError(
            f"{images.named} has other per-image results of {images.transfer_set} already ({differing[0]})",
            hint="import into a study of another name with --study",
        )


def _refuse_gaps(done: pl.DataFrame, kept: Matched, names: Sequence[str]) -> None:
    for name in names:
        have = {key for key, arrays in kept.items() if name in transfer_sets(arrays)}
        lacking = [row for row in done.iter_rows(named=True) if (row["study"], row["cell_id"]) not in have]
        if lacking:
            first = lacking[0]
            raise DataError(
                f"{len(lacking)} of {done.height} finished runs have no per-image results of {name} (first: "
                f"{first['dataset']}, {first['method']}, lr {first['lr']:g}, seed {first['seed']})",
                hint="add them to the table, or import those runs without --images; nothing was imported",
            )
