"""The reference study's run JSON, typed; and every value in it that follows from others, for checking.

Python wrote these files, so NaN and Infinity may occur in them; they mean not measured. Fields that are unknown here
are left to source.json.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Annotated

import msgspec

from heatdrift.decoding import decoding
from heatdrift.errors import RecordError

Values = tuple[float | None, ...]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]  # images per class and steps per epoch are quotients by it


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What was trained. `splits`: images per split, all classes together."""

    dataset: str
    method: str
    lr: float
    seed: int
    epochs: int
    batch_size: AtLeastOne
    weight_decay: float
    model_name: str
    num_classes: AtLeastOne
    splits: Mapping[str, int] = {}
    steps_per_epoch: int | None = None
    total_steps: int | None = None
    tag: str | None = None
    device: str | None = None


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of parameters."""

    trainable: int
    total: int


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """Attention support, per block and as the mean over blocks. Entropy in nats."""

    entropy_per_layer: Values
    erf95_per_layer: Values
    gini_per_layer: Values
    entropy_mean: float | None
    erf95_mean: float | None
    gini_mean: float | None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The pretrained model. `transfer`: ``<set>@<images>`` -> zero-shot accuracy as a fraction."""

    attention: Attention
    transfer_track_acc: float | None = None
    transfer: Mapping[str, float] = {}


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """State after one epoch of training; accuracies are fractions, drifts percent of base."""

    epoch: int
    train_loss: float | None = None
    train_acc: float | None = None
    val_acc: float | None = None
    entropy_mean: float | None = None
    entropy_per_layer: Values = ()
    erf95_mean: float | None = None
    gini_mean: float | None = None
    delta_entropy_pct: float | None = None
    delta_erf95_pct: float | None = None
    delta_gini_pct: float | None = None
    cka_mean: float | None = None
    embedding_drift: float | None = None
    weight_drift_rel: float | None = None
    transfer_track_acc: float | None = None
    transfer_track_retention: float | None = None


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """State at the selected epoch."""

    attention: Attention
    cka_per_layer: Values
    cka_mean: float | None
    embedding_drift: float | None
    weight_drift_rel: float | None
    delta_entropy_pct: float | None = None
    delta_erf95_pct: float | None = None
    delta_gini_pct: float | None = None
    delta_entropy_per_layer_pct: Values = ()


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """Zero-shot accuracy of adapted and pretrained model on the same images, as fractions."""

    accuracy: float
    pretrained: float
    n_images: int
    retention: float | None = None


class ReferenceRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the reference study."""

    run_id: str
    config: Config
    parameters: Parameters
    baseline: Baseline
    history: tuple[Epoch, ...]
    diverged: bool = False
    selected_epoch: int | None = None
    best_val_acc: float | None = None
    test_acc: float | None = None
    final: Final | None = None
    transfer: Mapping[str, Transfer] = {}
    corruption_acc: Mapping[str, float] = {}
    runtime_seconds: float | None = None
    environment: Mapping[str, str] = {}


def decode_reference(data: bytes, path: Path) -> ReferenceRun:
    """Decode one file; RecordError names what does not fit."""
    with decoding(lambda said: RecordError(path, f"not a run record of the reference study: {said}")):
        plain = json.loads(data, parse_constant=lambda _: None)
        return msgspec.convert(plain, ReferenceRun)


def own_values(run: ReferenceRun) -> Iterator[tuple[str, float, float]]:
    """Yield (field, value stated in the file, the same derived from its measurements) wherever both exist."""
    for field, stated, derived in _pairs(run):
        if stated is not None and derived is not None:
            yield field, stated, derived


def _pairs(run: ReferenceRun) -> Iterator[tuple[str, float | None, float | None]]:
    base = run.baseline.attention
    yield from _attention("baseline.attention", base)
    best = max((e.val_acc for e in run.history if e.val_acc is not None), default=None)
    yield "best_val_acc", run.best_val_acc, best
    yield "selected_epoch", run.selected_epoch, next((e.epoch for e in run.history if e.val_acc == best), None)
    for epoch in run.history:
        at = f"history[epoch {epoch.epoch}]"
        yield f"{at}.entropy_mean", epoch.entropy_mean, _mean(epoch.entropy_per_layer)
        yield f"{at}.delta_entropy_pct", epoch.delta_entropy_pct, _drift(epoch.entropy_mean, base.entropy_mean)
        yield f"{at}.delta_erf95_pct", epoch.delta_erf95_pct, _drift(epoch.erf95_mean, base.erf95_mean)
        yield f"{at}.delta_gini_pct", epoch.delta_gini_pct, _drift(epoch.gini_mean, base.gini_mean)
        kept = _ratio(epoch.transfer_track_acc, run.baseline.transfer_track_acc)
        yield f"{at}.transfer_track_retention", epoch.transfer_track_retention, kept
        if run.final and epoch.epoch == run.selected_epoch:
            yield from _final(run.final, base, epoch)
    for name, transfer in run.transfer.items():
        at = f"transfer.{name}"
        yield f"{at}.retention", transfer.retention, _ratio(transfer.accuracy, transfer.pretrained)
        yield f"{at}.pretrained", transfer.pretrained, run.baseline.transfer.get(f"{name}@{transfer.n_images}")
    train, batch = run.config.splits.get("train"), run.config.batch_size
    steps = ceil(train / batch) if train is not None and batch > 0 else None
    yield "config.steps_per_epoch", run.config.steps_per_epoch, steps
    yield "config.total_steps", run.config.total_steps, steps * run.config.epochs if steps is not None else None


def _attention(at: str, attention: Attention) -> Iterator[tuple[str, float | None, float | None]]:
    for name in ("entropy", "erf95", "gini"):
        yield f"{at}.{name}_mean", getattr(attention, f"{name}_mean"), _mean(getattr(attention, f"{name}_per_layer"))


def _final(final: Final, base: Attention, epoch: Epoch) -> Iterator[tuple[str, float | None, float | None]]:
    yield from _attention("final.attention", final.attention)
    yield "final.cka_mean", final.cka_mean, _mean(final.cka_per_layer)
    for name in ("entropy", "erf95", "gini"):
        mean = getattr(final.attention, f"{name}_mean")
        yield (
            f"final.delta_{name}_pct",
            getattr(final, f"delta_{name}_pct"),
            _drift(mean, getattr(base, f"{name}_mean")),
        )
        yield f"final.attention.{name}_mean (history)", mean, getattr(epoch, f"{name}_mean")
    for name in ("cka_mean", "embedding_drift", "weight_drift_rel"):
        yield f"final.{name} (history)", getattr(final, name), getattr(epoch, name)
    layers = zip(
        final.delta_entropy_per_layer_pct, final.attention.entropy_per_layer, base.entropy_per_layer, strict=False
    )
    for i, (stated, adapted, before) in enumerate(layers):
        yield f"final.delta_entropy_per_layer_pct[{i}]", stated, _drift(adapted, before)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _drift(value: float | None, base: float | None) -> float | None:
    return 100 * (value - base) / base if value is not None and base else None
