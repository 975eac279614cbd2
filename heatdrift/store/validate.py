"""What a record must hold beyond its types: identity, order of epochs, shapes, and values that are possible.

The first contradiction is named with its place in the JSON, so that a hand-edited or damaged record is refused with a
reason instead of becoming a wrong row.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from math import isfinite
from typing import Final

from heatdrift.controls import has_control
from heatdrift.metrics import PROBE, PROBES
from heatdrift.records import EpochRecord, RunRecord

ROUNDING: Final = 1e-5  # float32 feature sums may lift a CKA of 1 by this much
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # safe as a folder name everywhere
_HIGHEST: Final = {p.name: p.highest for p in PROBES if p.highest is not None}
LONGEST_NAME: Final = 200
_INT32: Final = 2**31
_INT64: Final = 2**63


def record_problem(record: RunRecord) -> str | None:
    """Return what is wrong with `record`, ending in its JSON place like msgspec's own messages, or None."""
    return next(_problems(record), None)


def _problems(record: RunRecord) -> Iterator[str]:
    yield from _integers(record)
    yield from _identity(record)
    yield from _selection(record)
    for i, epoch in enumerate(record.epochs):
        yield from _epoch(epoch, f"$.epochs[{i}]")
    yield from _evaluations(record)
    for name in ("started_at", "finished_at"):
        text = getattr(record, name)
        if text is not None and utc_time(text) is None:
            yield f"{text!r} is not an ISO 8601 time - at `$.{name}`"


def utc_time(text: str) -> datetime | None:
    """Return an ISO 8601 time as a naive datetime in UTC (no offset means UTC), or None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _identity(record: RunRecord) -> Iterator[str]:
    cell = record.cell
    for at, name in (
        ("cell.backbone", cell.backbone),
        ("cell.dataset", cell.dataset),
        ("cell.protocol", cell.protocol),
        ("cell.method", cell.method),
        *((f"cell.transfer[{i}].name", plan.name) for i, plan in enumerate(cell.transfer)),
        *((f"transfer[{i}].transfer_set", entry.transfer_set) for i, entry in enumerate(record.transfer)),
        *((f"robustness[{i}].corruption", entry.corruption) for i, entry in enumerate(record.robustness)),
        *(("further", name) for name in record.further or ()),
        *(("factors", text) for pair in (record.factors or {}).items() for text in pair),
        *(("cell.factors", text) for pair in (cell.factors or {}).items() for text in pair),
    ):
        if has_control(name):
            yield f"the name {name!r} has a control character - at `$.{at}`"
    if not NAME.fullmatch(record.study):
        yield f"{record.study!r} cannot be the name of a study - at `$.study`"
    if record.cell_id != record.cell.cell_id:
        yield (
            f"cell id {record.cell_id!r} is not the hash of the cell, {record.cell.cell_id!r}: "
            "the record was changed or belongs elsewhere - at `$.cell_id`"
        )


def _integers(record: RunRecord) -> Iterator[str]:
    recipe = record.cell.recipe
    small = {
        "attempt": record.attempt,
        "selected_epoch": record.selected_epoch,
        "provenance.threads": record.provenance.threads,
    }
    large = {
        name: getattr(record, name)
        for name in ("trainable_params", "total_params", "n_train", "n_val", "n_test", "n_probe")
    }
    if recipe is not None:
        small |= {"cell.recipe.epochs": recipe.epochs, "cell.recipe.batch_size": recipe.batch_size}
        small |= {f"cell.recipe.sizes.{name}": getattr(recipe.sizes, name) for name in ("train", "val", "probe")}
        large["cell.recipe.data_seed"] = recipe.data_seed
    for limit, values in ((_INT32, small), (_INT64, large)):
        for place, value in values.items():
            if value is not None and not 0 <= value < limit:
                yield f"{value} is out of range - at `$.{place}`"
    if not -_INT64 <= record.cell.seed < _INT64:
        yield f"{record.cell.seed} is out of range - at `$.cell.seed`"
    if record.attempt < 1:
        yield "attempts are counted from 1 - at `$.attempt`"


def _selection(record: RunRecord) -> Iterator[str]:
    numbers = [e.epoch for e in record.epochs]
    if any(not 0 <= n < _INT32 for n in numbers) or numbers != sorted(set(numbers)):
        yield f"epochs must be numbered upwards from 0, each once, got {numbers[:20]} - at `$.epochs`"
    if record.selected_epoch is not None and record.selected_epoch not in numbers:
        yield f"selected epoch {record.selected_epoch} has no entry in epochs - at `$.selected_epoch`"
    if record.status == "done" and record.selected_epoch is None:
        yield "a run that is done has a selected epoch - at `$.selected_epoch`"


def _epoch(epoch: EpochRecord, at: str) -> Iterator[str]:
    for name in ("train_acc_pct", "val_acc_pct", "track_zero_shot_pct"):
        yield from _percent(getattr(epoch, name), f"{at}.{name}")
    yield from _known(epoch, at)
    for name, highest in _HIGHEST.items():
        values = (epoch.means.get(name), *epoch.layers.get(name, ()), *chain.from_iterable(epoch.heads.get(name, ())))
        over = [v for v in values if v is not None and v > highest + ROUNDING]
        if over:
            yield f"{name} {over[0]!r} is above {highest:g} - at `{at}`"
    blocks = {len(values) for values in epoch.layers.values()} | {len(rows) for rows in epoch.heads.values()}
    if len(blocks) > 1:
        yield f"probes disagree on the number of blocks: {sorted(blocks)} - at `{at}`"
    for name, rows in epoch.heads.items():
        if len({len(row) for row in rows}) > 1:
            yield f"blocks disagree on the number of heads - at `{at}.heads.{name}`"


def _known(epoch: EpochRecord, at: str) -> Iterator[str]:
    allowed: tuple[tuple[str, Mapping[str, object], set[str]], ...] = (
        ("means", epoch.means, set(PROBE)),
        ("layers", epoch.layers, {name for name, probe in PROBE.items() if probe.per_layer}),
        ("heads", epoch.heads, {name for name, probe in PROBE.items() if probe.per_head}),
    )
    for field, values, names in allowed:
        for name in values:
            if name not in names:
                yield f"unknown probe {name!r}, known: {', '.join(sorted(names))} - at `{at}.{field}`"


def _evaluations(record: RunRecord) -> Iterator[str]:
    yield from _percent(record.test_acc_pct, "$.test_acc_pct")
    for i, transfer in enumerate(record.transfer):
        yield from _percent(transfer.base_pct, f"$.transfer[{i}].base_pct")
        yield from _percent(transfer.adapted_pct, f"$.transfer[{i}].adapted_pct")
        if not 0 < transfer.n_images < _INT64:
            yield f"{transfer.n_images} images cannot be evaluated - at `$.transfer[{i}].n_images`"
        if transfer.n_classes is not None and not 2 <= transfer.n_classes < _INT32:
            yield f"{transfer.n_classes} classes are nothing to choose among - at `$.transfer[{i}].n_classes`"
    for i, corrupted in enumerate(record.robustness):
        yield from _percent(corrupted.acc_pct, f"$.robustness[{i}].acc_pct")
    for name, value in (record.further or {}).items():
        if not name.strip() or len(name) > LONGEST_NAME:
            yield f"{name[:40]!r} cannot be the name of a metric - at `$.further`"
        if not isfinite(value):
            yield f"{value!r} is no measured value - at `$.further.{name}`"
    for field, names in (
        ("transfer", [t.transfer_set for t in record.transfer]),
        ("robustness", [r.corruption for r in record.robustness]),
    ):
        if len(set(names)) != len(names):
            yield f"an entry appears twice - at `$.{field}`"


def _percent(value: float | None, at: str) -> Iterator[str]:
    if value is not None and not 0 <= value <= 100:
        yield f"{value!r} is not a percentage between 0 and 100 - at `{at}`"
