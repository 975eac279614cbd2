"""Runs with their results image by image, as matrices; images that are not the same are never compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import DataError, RecordError, StatsError, UnknownNameError
from heatdrift.image_results import Arrays, ImageResults, image_results, transfer_sets
from heatdrift.questions.selection import FACTORS, select_runs
from heatdrift.wording import counted, learning_rate

Hits = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

SAME_BASE: Final = 0.99  # share of images on which base runs of other machines must agree where no hash was kept
NO_LABELS: Final = (
    "no classes kept: these runs were trained before heatdrift kept the class of every image, so which classes were "
    "forgotten is not answered (heatdrift train --force, or import --images)"
)
NO_PREDICTED: Final = (
    "no predicted classes kept in {n} of {of} runs, so which classes swap is not answered (runs trained before "
    "heatdrift kept them, or imported with base_hit and adapted_hit)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerImage:
    """R runs on the same N images.

    Attributes
    ----------
    frame : dataset, method, lr, seed, one row per run, sorted by them.
    adapted : (R, N) 1 where the adapted model was right.
    bases : (U, N) the same of the base, every result of it once (it is one model; machines may differ in an image).
    base_of : (R,) row of `bases` that belongs to each run.
    label, class_names : true class of every image; None and empty where no run kept it.
    predicted, base_predicted : (R, N) and (U, N) predicted classes; None where not all runs kept them.
    left_out : one sentence per reason why runs, or questions, are not in the answer.
    n_dropped : rows of the runs' frame that are not in `frame`.
    """

    transfer_set: str
    frame: pl.DataFrame
    adapted: Hits
    bases: Hits
    base_of: Codes
    label: Codes | None
    class_names: tuple[str, ...]
    predicted: npt.NDArray[np.integer[Any]] | None
    base_predicted: npt.NDArray[np.integer[Any]] | None
    left_out: tuple[str, ...]
    n_dropped: int

    @property
    def n_images(self) -> int:
        """Number of images."""
        return int(self.adapted.shape[1])

    def rows(self, **wanted: object) -> Codes:
        """Return the rows of the runs with these values of the factors; None = any."""
        chosen = [pl.col(factor) == value for factor, value in wanted.items() if value is not None]
        mask = self.frame.select(pl.all_horizontal(pl.lit(value=True), *chosen).alias("chosen"))["chosen"]
        return np.flatnonzero(np.broadcast_to(mask.to_numpy(), self.frame.height))

    def accuracy_pct(self, rows: Codes) -> Floats:
        """Zero-shot accuracy of the adapted models."""
        return np.asarray(100.0 * self.adapted[rows].mean(axis=1, dtype=float))

    def base_pct(self, rows: Codes) -> Floats:
        """Zero-shot accuracy of the base next to each of them."""
        return np.asarray(100.0 * self.bases.mean(axis=1, dtype=float)[self.base_of[rows]])


def per_image(runs: pl.DataFrame, hits: Mapping[str, Arrays], transfer: str | None) -> PerImage:
    """Return the finished runs of `runs` that have results of every image of one transfer set.

    Parameters
    ----------
    hits : cell id -> arrays of its ``hits.npz`` (``image_results.py``); runs may lack them.
    transfer : transfer set; None = that of the runs' retention, or the only one.

    Raises
    ------
    UnknownNameError, StatsError
        No such transfer set; no run with results of single images; runs whose images are not the same.
    """
    selection = select_runs(runs, [])
    done = runs.filter(pl.col("status") == "done").with_columns(pl.col("lr").cast(pl.Float64))
    frame = selection.frame.join(done.select(*FACTORS, "cell_id"), on=FACTORS, how="left", maintain_order="left")
    arrays, unreadable = _read(frame, hits)
    name = _transfer_set(done, arrays, transfer)
    found, broken = _results(frame, arrays, name)
    if not found:
        raise StatsError(
            f"no finished run has results of single images of {name}" + "".join(f"; {p}" for p in unreadable + broken),
            hint="runs trained here have them (hits.npz); for others: heatdrift import TABLE --images FILE.parquet",
        )
    kept = frame.filter(pl.col("cell_id").is_in(list(found)))
    absent = frame.height - kept.height - len(unreadable) - len(broken)
    left_out = [*selection.left_out, *unreadable, *broken]
    left_out += [f"{counted(absent, 'run')} without per-image results of {name}"] if absent else []
    results = [found[cell] for cell in kept["cell_id"].to_list()]
    same_images(kept, results, name)
    return _matrices(kept, results, name, left_out, runs.height - kept.height)


def _read(frame: pl.DataFrame, hits: Mapping[str, Arrays]) -> tuple[dict[str, Arrays], list[str]]:
    arrays: dict[str, Arrays] = {}
    problems: list[str] = []
    for cell in frame["cell_id"].to_list():
        try:
            if cell in hits:
                arrays[cell] = hits[cell]
        except RecordError as error:
            problems.append(f"a run whose per-image results cannot be read ({error.message})")
    return arrays, problems


def _transfer_set(done: pl.DataFrame, arrays: Mapping[str, Arrays], asked: str | None) -> str:
    known = tuple(dict.fromkeys(name for found in arrays.values() for name in transfer_sets(found)))
    if asked is not None:
        if known and asked not in known:
            raise UnknownNameError("transfer set", asked, known, where="the per-image results")
        return asked
    named = done["transfer_set"].drop_nulls().unique().to_list() if "transfer_set" in done.columns else []
    for name in sorted(str(n) for n in named):
        if name in known:
            return name
    if len(known) > 1:
        raise StatsError(f"the runs have per-image results of {', '.join(known)}", hint="choose one with --transfer")
    return known[0] if known else str(named[0] if named else "any transfer set")


def _results(frame: pl.DataFrame, arrays: Mapping[str, Arrays], name: str) -> tuple[dict[str, ImageResults], list[str]]:
    found: dict[str, ImageResults] = {}
    problems: list[str] = []
    for cell in frame["cell_id"].to_list():
        try:
            results = image_results(arrays.get(cell, {}), name)
        except DataError as error:
            problems.append(f"run {cell}, whose {error.message}")
            continue
        if results is not None:
            found[cell] = results
    return found, problems


def same_images(frame: pl.DataFrame, results: Sequence[ImageResults], name: str) -> None:
    """Refuse runs that were not measured on the same images in the same order.

    Where a hash of the images was kept it decides. Where not, as many images and a base that is right on the same
    images (all but 1 %, since machines differ in rounding) are taken for the same.

    Raises
    ------
    StatsError
        Names the first two runs that differ.
    """
    first, hashed = 0, next((i for i, r in enumerate(results) if r.images), 0)
    for i, run in enumerate(results):
        for j in dict.fromkeys((first, hashed)):
            why = _unlike(results[j], run)
            if why:
                raise StatsError(
                    f"the images of {name} are not the same for two runs: {why} ({_named(frame, j)}; "
                    f"{_named(frame, i)})",
                    hint="choose runs of one set of images with --dataset, --method, --lr or --seed",
                )


def _unlike(a: ImageResults, b: ImageResults) -> str | None:
    if a.n != b.n:
        return f"{a.n} and {b.n} images"
    if a.images and b.images:
        if a.images != b.images:
            return "other images, or in another order"
        return "other class names" if a.class_names and b.class_names and a.class_names != b.class_names else None
    agreed = float(np.mean(a.base == b.base))
    return f"the base is right on the same images in {100 * agreed:.1f} % only" if agreed < SAME_BASE else None


def _named(frame: pl.DataFrame, row: int) -> str:
    dataset, method, lr, seed = frame.select(FACTORS).row(row)
    return f"{dataset}, {method}, lr {learning_rate(lr)}, seed {seed}"


def _matrices(
    frame: pl.DataFrame, results: Sequence[ImageResults], name: str, left_out: list[str], n_dropped: int
) -> PerImage:
    bases: dict[bytes, int] = {}
    base_of, of_base = np.empty(len(results), dtype=np.intp), []
    for i, run in enumerate(results):
        key = run.base.tobytes() + (b"" if run.base_class is None else run.base_class.tobytes())
        if key not in bases:
            bases[key] = len(bases)
            of_base.append(run)
        base_of[i] = bases[key]
    labelled = next((run for run in results if run.label is not None), None)
    predicted = [run.adapted_class for run in results if run.adapted_class is not None]
    of_bases = [run.base_class for run in of_base if run.base_class is not None]
    lacking = sum(run.adapted_class is None or run.base_class is None for run in results)
    if labelled is None:
        left_out = [*left_out, NO_LABELS]
    elif lacking:
        left_out = [*left_out, NO_PREDICTED.format(n=lacking, of=len(results))]
    return PerImage(
        transfer_set=name,
        frame=frame.select(FACTORS),
        adapted=np.stack([run.adapted for run in results]).astype(np.float32),
        bases=np.stack([run.base for run in of_base]).astype(np.float32),
        base_of=base_of,
        label=None if labelled is None or labelled.label is None else labelled.label.astype(np.intp),
        class_names=labelled.class_names if labelled is not None else (),
        predicted=None if lacking else np.stack(predicted),
        base_predicted=None if lacking else np.stack(of_bases),
        left_out=tuple(left_out),
        n_dropped=n_dropped,
    )
