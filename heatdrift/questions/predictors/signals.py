"""Signals that might rank zero-shot retention without any label of a transfer set, and the direction expected of each.

A direction chosen after looking is worth nothing: with twenty signals half of them would "agree" by chance. So each
has its orientation here, with the reason, fixed before any data were seen: +1 = a higher value goes with more
retention. The unsigned drifts are signals of their own, because a drift may hurt in either direction.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl


@dataclass(frozen=True, slots=True)
class Signal:
    """One candidate predictor of retention.

    Attributes
    ----------
    name : key in results. column : column of the views ``runs`` and ``epochs`` it is made from.
    orientation : +1 or -1, see the module. reason : why.
    kind : how the column is used. reference : no candidate, but what any candidate must beat.
    """

    name: str
    column: str
    orientation: int
    reason: str
    kind: str = "value"  # value, absolute, log10
    reference: bool = False

    def values(self) -> pl.Expr:
        """Expression of the signal; null where it is not defined (log10 of 0)."""
        column = pl.col(self.column).cast(pl.Float64)
        if self.kind == "absolute":
            return column.abs()
        if self.kind == "log10":
            return pl.when(column > 0).then(column.log10())
        return column


def _drift(column: str, orientation: int, reason: str) -> tuple[Signal, Signal]:
    unsigned = "any change of attention is a departure from the features that zero-shot relies on"
    return (
        Signal(name=column, column=column, orientation=orientation, reason=reason),
        Signal(name=f"abs_{column}", column=column, orientation=-1, reason=unsigned, kind="absolute"),
    )


_SUPPORT = "wider attention keeps what pretraining saw; narrowing marks task-specific features"
SIGNALS: Final[tuple[Signal, ...]] = (
    *_drift("delta_entropy_pct", 1, _SUPPORT),
    *_drift("delta_entropy_last_pct", 1, _SUPPORT),
    *_drift("delta_erf95_pct", 1, _SUPPORT),
    *_drift("delta_gini_pct", -1, "concentration is the opposite of support"),
    *_drift("delta_head_diversity_pct", 1, "heads that collapse onto one map lose information"),
    *_drift("delta_rollout_entropy_pct", 1, _SUPPORT),
    *_drift("delta_patch_entropy_pct", 1, _SUPPORT),
    Signal(name="cka", column="cka", orientation=1, reason="similar features classify similarly"),
    Signal(name="cka_last", column="cka_last", orientation=1, reason="similar features classify similarly"),
    Signal(name="cka_debiased", column="cka_debiased", orientation=1, reason="similar features classify similarly"),
    Signal(
        name="embedding_drift",
        column="embedding_drift",
        orientation=-1,
        reason="embeddings that moved no longer match the frozen text tower",
    ),
    Signal(name="weight_drift", column="weight_drift", orientation=-1, reason="weights that moved further forgot more"),
    Signal(name="train_loss", column="train_loss", orientation=1, reason="a task fitted less moved the model less"),
    Signal(
        name="test_acc_pct",
        column="test_acc_pct",
        orientation=-1,
        reason="accuracy on the target is bought with retention",
        reference=True,
    ),
    Signal(
        name="log10_lr",
        column="lr",
        orientation=-1,
        reason="a larger step moves the model further; known before training",
        kind="log10",
        reference=True,
    ),
)
SIGNAL: Final = {signal.name: signal for signal in SIGNALS}
