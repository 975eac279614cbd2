"""Rows of one run in our columns -> its record.

Probes are taken as measured: a drift is never imported, the views derive it from the value and its base
(`base_<probe>`, epoch 0). What a source did not keep stays NULL.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from heatdrift.controls import has_control
from heatdrift.methods import METHODS
from heatdrift.metrics import FURTHER_PREFIX, PROBE
from heatdrift.records import (
    Cell,
    EpochRecord,
    Provenance,
    Recipe,
    RunRecord,
    SplitSizes,
    Status,
    TransferPlan,
    TransferRecord,
)
from heatdrift.store.importers.columns import BASE, BASE_LAYERS, IDENTITY, LAYERS, PER_EPOCH, RECIPE
from heatdrift.store.importers.own_factors import FACTOR, TELLS
from heatdrift.store.importers.values import key_numbers, list_of, real_of, text_of, time_of, whole_of

STATUS: Final[Mapping[str, Status]] = {
    **dict.fromkeys(("done", "finished", "completed", "complete", "success", "ok"), "done"),
    **dict.fromkeys(("failed", "killed", "crashed", "error"), "failed"),
    "diverged": "diverged",
}
_FINAL: Final = ("test_acc_pct", "zero_shot_pct")  # what a run without epochs may have
_AT_EPOCH: Final = (*_FINAL, "zero_shot_base_pct")  # results that a source may give after every epoch
# columns of a recipe that a source may leave open, where the cell then holds this program's defaults
UNSTATED: Final = ("weight_decay", "warmup_fraction", "clip_norm", "requested_precision", "prompt_template")
T = TypeVar("T", int, float, str)


def flat_record(rows: Sequence[Mapping[str, object]], *, study: str, origin: str) -> RunRecord:
    """Return the record of one run from rows in our columns (`columns.TARGETS`), one per epoch or one in all.

    Raises
    ------
    ValueError
        A column that decides the identity is missing, or a value has the wrong type; the text names it.
    """
    run: dict[str, object] = {}
    final: dict[str, object] = {}  # of a row without an epoch among rows with one: it states the run's own results
    with_epochs = any("epoch" in row for row in rows)
    for row in rows:
        run |= row
        final |= row if with_epochs and "epoch" not in row else {}
    rows = [row for row in rows if not with_epochs or "epoch" in row]
    absent = [name for name in IDENTITY if name not in run]
    if absent:
        raise ValueError(f"no value for {', '.join(absent)}: map a column to it or set it for all runs")
    for name in ("backbone", "dataset", "method", "transfer_set"):
        if has_control(str(run.get(name) or "")):
            raise ValueError(f"{name} {str(run[name])!r} has a control character, which no name has")
    cell = _cell(run)
    epochs = _epochs(rows, run)
    selected = _selected(run, epochs)
    # a column that every epoch has, such as a test accuracy, counts at the selected epoch, not at the last one
    chosen = next((row for row in rows if selected is not None and whole_of(row, "epoch") == selected), None)
    if chosen is not None:
        run = {name: value for name, value in run.items() if name in chosen or not _changes(name, rows)} | dict(chosen)
    run |= final
    transfer = _transfer(run)
    return RunRecord(
        study=study,
        cell_id=cell.cell_id,
        origin=origin,
        status=_status(run),
        error=text_of(run, "error"),
        cell=cell,
        trainable_params=whole_of(run, "trainable_params"),
        total_params=whole_of(run, "total_params"),
        selected_epoch=selected,
        test_acc_pct=real_of(run, "test_acc_pct"),
        n_train=whole_of(run, "n_train"),
        n_val=whole_of(run, "n_val"),
        n_test=whole_of(run, "n_test"),
        n_probe=whole_of(run, "n_probe"),
        epochs=epochs,
        transfer=transfer,
        factors=_under(run, FACTOR) or msgspec.UNSET,
        further=_further(run, with_transfer=bool(transfer), with_recipe=cell.recipe is not None),
        provenance=Provenance(
            commit=text_of(run, "commit"),
            device=text_of(run, "device"),
            source=text_of(run, "source"),
            unstated=tuple(name for name in UNSTATED if run.get(name) is None),
        ),
        started_at=time_of(run, "started_at"),
        finished_at=time_of(run, "finished_at"),
        wall_s=real_of(run, "wall_s"),
    )


def _changes(name: str, rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether epochs give a result different values: then no other epoch's may stand for the selected one."""
    result = name in _AT_EPOCH or name.startswith(FURTHER_PREFIX)
    return result and len({str(row[name]) for row in rows if name in row}) > 1


def _cell(run: Mapping[str, object]) -> Cell:
    method, epochs, batch_size = str(run["method"]), whole_of(run, "epochs"), whole_of(run, "batch_size")
    lr, seed = key_numbers(run)
    recipe = None
    if epochs is not None and batch_size is not None:
        recipe = Recipe(
            epochs=epochs,
            batch_size=batch_size,
            sizes=SplitSizes(),
            data_seed=whole_of(run, "data_seed"),
            weight_decay=_given(real_of(run, "weight_decay"), 0.01),
        )
    transfer_set = text_of(run, "transfer_set")
    return Cell(
        backbone=str(run["backbone"]),
        backbone_sha256=None,
        dataset=str(run["dataset"]),
        data_sha256=None,
        protocol=text_of(run, "protocol") or "imported",
        method=method,
        method_spec=METHODS.get(method),
        lr=lr,
        seed=seed,
        recipe=recipe,
        transfer=(TransferPlan(name=transfer_set, data_sha256=None),) if transfer_set else (),
        factors=_under(run, TELLS) or None,
    )


def _under(run: Mapping[str, object], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): str(run[name]) for name in sorted(run) if name.startswith(prefix)}


def _epochs(rows: Sequence[Mapping[str, object]], run: Mapping[str, object]) -> tuple[EpochRecord, ...]:
    """Return the epochs in order; without an epoch column the one row is the selected or last epoch."""
    found: dict[int, dict[str, object]] = {}
    for row in rows:
        number = _given(whole_of(row, "epoch"), _given(whole_of(run, "selected_epoch"), whole_of(run, "epochs") or 1))
        found.setdefault(number, {}).update(row)
    base = {name.removeprefix("base_"): run[name] for name in (*BASE, *BASE_LAYERS) if name in run}
    if base:
        found[0] = base | found.get(0, {})
    measured = [_epoch(number, row) for number, row in sorted(found.items())]
    kept = [e for e in measured if e != EpochRecord(epoch=e.epoch)]
    if not any(e.epoch > 0 for e in kept) and any(name in _FINAL or name.startswith(FURTHER_PREFIX) for name in run):
        kept.append(EpochRecord(epoch=max(*found, 1)))  # a table of final results: nothing is known of the epoch
    return tuple(kept)


def _epoch(number: int, row: Mapping[str, object]) -> EpochRecord:
    own = {name: real_of(row, name) for name in PER_EPOCH if name in row}
    layers = {n.removeprefix("layers_"): list_of(row[n], n) for n in LAYERS if n in row}
    means = {name: value for name, value in own.items() if name in PROBE}
    for name, values in layers.items():
        if name not in means and values and None not in values:
            means[name] = sum(v for v in values if v is not None) / len(values)
    return EpochRecord(
        epoch=number,
        train_loss=own.get("train_loss"),
        train_acc_pct=own.get("train_acc_pct"),
        val_acc_pct=own.get("val_acc_pct"),
        track_zero_shot_pct=own.get("track_zero_shot_pct"),
        means=means,
        layers=layers,
    )


def _selected(run: Mapping[str, object], epochs: Sequence[EpochRecord]) -> int | None:
    given = whole_of(run, "selected_epoch")
    if given is not None or _status(run) != "done":
        return given
    trained = [e for e in epochs if e.epoch > 0]
    best = max((e.val_acc_pct for e in trained if e.val_acc_pct is not None), default=None)
    if best is not None:
        return next(e.epoch for e in trained if e.val_acc_pct == best)
    if not trained:
        raise ValueError("no result: map at least one of test_acc_pct, val_acc_pct, train_loss or a probe")
    return trained[-1].epoch


def _status(run: Mapping[str, object]) -> Status:
    text = str(run.get("status", "done")).lower()
    if text not in STATUS:
        raise ValueError(f"status {text!r} is not the end of a run ({', '.join(STATUS)})")
    return STATUS[text]


def _transfer(run: Mapping[str, object]) -> tuple[TransferRecord, ...]:
    base, adapted = (real_of(run, name) for name in ("zero_shot_base_pct", "zero_shot_pct"))
    if base is None or adapted is None:
        return ()
    name, n_images = text_of(run, "transfer_set"), whole_of(run, "n_transfer")
    if name is None or n_images is None:
        raise ValueError("zero-shot accuracies need transfer_set and n_transfer, the images behind them (set them)")
    n_classes = whole_of(run, "transfer_classes")
    if n_classes is not None and n_classes < 2:
        raise ValueError(f"transfer_classes is {n_classes}: there is nothing to choose among")
    return (
        TransferRecord(transfer_set=name, n_images=n_images, base_pct=base, adapted_pct=adapted, n_classes=n_classes),
    )


def _further(
    run: Mapping[str, object], *, with_transfer: bool, with_recipe: bool
) -> Mapping[str, float] | msgspec.UnsetType:
    """Return what has no place of its own: further columns, a zero-shot accuracy without its base, part of a recipe."""
    names = [name for name in run if name.startswith(FURTHER_PREFIX)]
    names += [] if with_transfer else [name for name in ("zero_shot_base_pct", "zero_shot_pct") if name in run]
    found = {name.removeprefix(FURTHER_PREFIX): real_of(run, name) for name in names}
    found |= {} if with_recipe else {name: real_of(run, name) for name in RECIPE if name in run}
    return {name: value for name, value in found.items() if value is not None} or msgspec.UNSET


def _given(value: T | None, default: T) -> T:
    return default if value is None else value
