"""The mean of several finished runs of one cell, as `import --duplicates mean` takes it."""

from collections.abc import Mapping, Sequence

import msgspec

from heatdrift.errors import DuplicateRunsError
from heatdrift.records import Cell, EpochRecord, RobustnessRecord, RunRecord, TransferRecord
from heatdrift.wording import learning_rate, listed


def described(cell: Cell) -> str:
    """Name a cell by what people know it by."""
    own = "".join(f", {name} {level}" for name, level in (cell.factors or {}).items())
    return f"{cell.dataset}, {cell.method}, lr {learning_rate(cell.lr)}, seed {cell.seed}{own}"


def mean_record(records: Sequence[RunRecord]) -> RunRecord:
    """Average what finished runs of one cell measured, epoch by epoch; settings and origin are the first one's.

    A value that some of them lack is averaged over those that have it.

    Raises
    ------
    DuplicateRunsError
        Diverged runs are among them, they selected different epochs or have different epochs, or they were evaluated on
        different images.
    """
    first = records[0]
    for what, values in (
        ("status", {r.status for r in records}),
        ("selected epoch", {r.selected_epoch for r in records}),
        ("epochs", {tuple(e.epoch for e in r.epochs) for r in records}),
        ("transfer sets", {tuple((t.transfer_set, t.n_images) for t in r.transfer) for r in records}),
        ("corruptions", {tuple(c.corruption for c in r.robustness) for r in records}),
        ("n_test", {r.n_test for r in records}),
    ):
        if len(values) > 1:
            raise DuplicateRunsError(
                f"runs of {described(first.cell)} cannot be averaged: their {what} differ "
                f"({listed(sorted(map(str, values)))})",
                hint="--duplicates first or last, or correct the source",
            )
    return msgspec.structs.replace(
        first,
        test_acc_pct=_mean([r.test_acc_pct for r in records]),
        wall_s=_mean([r.wall_s for r in records]),
        epochs=tuple(_mean_epoch(same) for same in zip(*(r.epochs for r in records), strict=True)),
        transfer=tuple(_mean_transfer(same) for same in zip(*(r.transfer for r in records), strict=True)),
        robustness=tuple(
            RobustnessRecord(corruption=same[0].corruption, acc_pct=sum(c.acc_pct for c in same) / len(same))
            for same in zip(*(r.robustness for r in records), strict=True)
        ),
        checks=None,
        further=_mean_further(records),
    )


def _mean_epoch(same: Sequence[EpochRecord]) -> EpochRecord:
    numbers = ("train_loss", "train_acc_pct", "val_acc_pct", "track_zero_shot_pct")
    return EpochRecord(
        epoch=same[0].epoch,
        **{name: _mean([getattr(e, name) for e in same]) for name in numbers},
        means={n: _mean([e.means.get(n) for e in same]) for n in dict.fromkeys(n for e in same for n in e.means)},
        layers=_mean_rows([e.layers for e in same]),
        heads={
            name: tuple(
                tuple(_mean(values) for values in zip(*rows, strict=True))
                for rows in zip(*(e.heads[name] for e in same), strict=True)
            )
            for name in same[0].heads
            if all(name in e.heads for e in same)
        },
    )


def _mean_rows(same: Sequence[Mapping[str, tuple[float | None, ...]]]) -> dict[str, tuple[float | None, ...]]:
    shared = [name for name in same[0] if all(name in layers for layers in same)]
    return {name: tuple(_mean(v) for v in zip(*(layers[name] for layers in same), strict=True)) for name in shared}


def _mean_transfer(same: Sequence[TransferRecord]) -> TransferRecord:
    return msgspec.structs.replace(
        same[0],
        base_pct=sum(t.base_pct for t in same) / len(same),
        adapted_pct=sum(t.adapted_pct for t in same) / len(same),
    )


def _mean_further(records: Sequence[RunRecord]) -> Mapping[str, float] | msgspec.UnsetType:
    names = dict.fromkeys(name for r in records for name in (r.further or {}))
    means = {name: _mean([(r.further or {}).get(name) for r in records]) for name in names}
    return {name: value for name, value in means.items() if value is not None} or msgspec.UNSET


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
