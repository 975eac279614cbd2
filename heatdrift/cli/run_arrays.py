"""Arrays of run folders, handed to a question as a mapping that reads a run's file when it is asked for it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import polars as pl

from heatdrift.store.folder import cell_folder, read_arrays

if TYPE_CHECKING:
    from heatdrift.store.folder import ArrayKind


class RunArrays(Mapping[str, Mapping[str, npt.NDArray[Any]]]):
    """cell id -> arrays of one kind, of the runs that have the file.

    A file that is damaged is an error (RecordError) for whoever reads it, not for the others.
    """

    def __init__(self, store_folder: Path, runs: pl.DataFrame, kind: "ArrayKind") -> None:
        self._kind = kind
        self._folders = {
            cell: folder
            for study, cell in runs.select("study", "cell_id").iter_rows()
            if ((folder := cell_folder(store_folder, study, cell)) / f"{kind}.npz").is_file()
        }

    def __getitem__(self, cell: str) -> Mapping[str, npt.NDArray[Any]]:
        return read_arrays(self._folders[cell], self._kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)
