"""What `measure` gives: drift along the checkpoints, what zero-shot lost, class by class, in words."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from heatdrift.metrics import PROBE
from heatdrift.questions.predictors.estimate import Estimate
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid
from heatdrift.wording import counted, number, signed

SHOWN: Final = ("embedding_drift", "weight_drift", "proj_drift", "cka", "map_js", "entropy", "rollout_entropy")
_CLASSES: Final = 10  # that a terminal shows of those that changed most


class CheckpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model that was measured; epoch 0 is the base.

    Attributes
    ----------
    layout, said : what was recognised of its file, and converted.
    identical : whether its visual tower has the base's weights to the last bit; None for the base.
    means : probe -> value of the whole model.
    zero_shot_pct, retention_pct : on the transfer set; None without one.
    """

    epoch: int
    name: str
    layout: str
    said: tuple[str, ...] = ()
    identical: bool | None = None
    means: Mapping[str, float | None] = {}
    zero_shot_pct: float | None = None
    retention_pct: float | None = None


class ClassChange(msgspec.Struct, frozen=True, kw_only=True):
    """Zero-shot accuracy on one class of the transfer set, base and last checkpoint, in percent."""

    name: str
    n_images: int
    base_pct: float
    adapted_pct: float

    @property
    def change(self) -> float:
        """Adapted minus base, in points."""
        return self.adapted_pct - self.base_pct


class TransferChange(msgspec.Struct, frozen=True, kw_only=True):
    """Zero-shot of base and last checkpoint on the same images; `lost` and `gained` count images, not points."""

    name: str
    n_images: int
    n_classes: int
    base_pct: float
    adapted_pct: float
    retention_pct: float | None
    lost: int
    gained: int
    classes: tuple[ClassChange, ...]


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One block: probe -> value of base and of the last checkpoint."""

    layer: int
    base: Mapping[str, float | None]
    adapted: Mapping[str, float | None]


class MeasureResult(PresentedResult, frozen=True, kw_only=True):
    """What was measured of models that were trained elsewhere.

    Attributes
    ----------
    images, n_images : what the probes saw.
    layers : of the last checkpoint next to the base.
    notes : what the reader must know, such as weights that are the base's.
    estimate : retention of the last checkpoint without labels, from finished runs; None where none was asked for.
    stored : study and cell id in the store; None where nothing was stored.
    """

    base: str
    images: str
    n_images: int
    checkpoints: tuple[CheckpointRow, ...]
    layers: tuple[LayerRow, ...]
    transfer: TransferChange | None = None
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    estimate: Estimate | None = None
    stored: str | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer in words: did it drift, and what did it forget."""
        last = self.checkpoints[-1]
        means = last.means
        if last.identical:
            said = [f"{last.name} has the base's visual weights to the last bit: every drift is 0."]
        else:
            said = [
                f"{last.name} against {self.base} on {counted(self.n_images, 'image')}: weights moved by "
                f"{number(_percent(means.get('weight_drift')))} % of their norm, embeddings by "
                f"{number(means.get('embedding_drift'))} (1 - cosine), CKA {number(means.get('cka'))}."
            ]
        if (t := self.transfer) is not None:
            kept = f", {number(t.retention_pct)} % of it kept" if t.retention_pct is not None else ""
            of = f"{counted(t.n_images, 'image')}, {t.n_classes} classes"
            said.append(
                f"Zero-shot on {t.name} ({of}): {number(t.base_pct)} % before, {number(t.adapted_pct)} % after{kept}; "
                f"{counted(t.lost, 'image')} lost, {t.gained} gained."
            )
        if self.estimate is not None:
            said.append(self.estimate.sentence)
        return tuple(said)

    def shown(self) -> Iterator[str | Grid]:
        """Sentences, then tables: checkpoints, blocks, classes that changed most."""
        yield from self.sentences
        yield from (f"Note: {note}" for note in self.notes)
        names = [name for name in SHOWN if any(row.means.get(name) is not None for row in self.checkpoints)]
        zero = ["zero_shot_pct", "retention_pct"] if self.transfer else []
        yield Grid(
            ["epoch", "checkpoint", *names, *zero],
            [
                [
                    r.epoch,
                    r.name,
                    *(r.means.get(n) for n in names),
                    *((r.zero_shot_pct, r.retention_pct) if zero else ()),
                ]
                for r in self.checkpoints
            ],
            title="Checkpoints",
        )
        yield Grid(*self.layer_table(), title="Blocks of the last checkpoint, with the base where it has a value")
        if self.transfer is not None:
            most = sorted(self.transfer.classes, key=lambda c: -abs(c.change))[:_CLASSES]
            rows = [[c.name, c.n_images, c.base_pct, c.adapted_pct, signed(c.change)] for c in most]
            yield Grid(["class", "images", "base %", "adapted %", "change"], rows, title="Classes that changed most")

    def layer_table(self) -> tuple[list[str], list[list[object]]]:
        """Head and rows of the table of blocks."""
        probes = list(self.layers[0].adapted) if self.layers else []
        based = [name for name in probes if PROBE[name].has_base]
        own = [name for name in probes if name not in based]
        head = ["block", *own, *(column for name in based for column in (f"{name} base", name))]
        rows: list[list[object]] = [
            [r.layer, *(r.adapted[n] for n in own), *(v for n in based for v in (r.base.get(n), r.adapted[n]))]
            for r in self.layers
        ]
        return head, rows

    def csv_rows(self) -> list[dict[str, object]]:
        """One row per checkpoint."""
        return [
            {"epoch": r.epoch, "checkpoint": r.name, **r.means, "zero_shot_pct": r.zero_shot_pct,
             "retention_pct": r.retention_pct}
            for r in self.checkpoints
        ]  # fmt: skip


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else 100 * ratio
