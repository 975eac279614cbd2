"""In what records of one cell differ, in words."""

from collections.abc import Iterable, Sequence

from heatdrift.records import EpochRecord, RunRecord
from heatdrift.wording import listed


def difference(records: Sequence[RunRecord]) -> str:
    """Say the first value in which records differ."""
    for name, values in _values(records):
        if len(set(values)) > 1:
            return f"{name} {listed(['none' if v is None else _shown(v) for v in values])}"
    return "they differ in their epochs"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _values(records: Sequence[RunRecord]) -> Iterable[tuple[str, list[object]]]:
    yield "status", [r.status for r in records]
    yield "test_acc_pct", [r.test_acc_pct for r in records]
    yield "selected epoch", [r.selected_epoch for r in records]
    for name in ("val_acc_pct", "train_loss"):
        yield name, [getattr(_selected(r), name, None) for r in records]
    yield "zero_shot_pct", [r.transfer[0].adapted_pct if r.transfer else None for r in records]
    yield "zero_shot_base_pct", [r.transfer[0].base_pct if r.transfer else None for r in records]
    names = dict.fromkeys(name for r in records if (e := _selected(r)) for name in e.means)
    for name in names:
        yield name, [e.means.get(name) if (e := _selected(r)) else None for r in records]
    for name in dict.fromkeys(name for r in records for name in (r.further or {})):
        yield name, [(r.further or {}).get(name) for r in records]
    for name in ("trainable_params", "total_params", "n_train", "n_val", "n_test", "n_probe"):
        yield name, [getattr(r, name) for r in records]


def _selected(record: RunRecord) -> EpochRecord | None:
    return next((e for e in record.epochs if e.epoch == record.selected_epoch), None)
