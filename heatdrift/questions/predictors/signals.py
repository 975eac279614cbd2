"""Signals that might rank zero-shot retention without any label of a transfer set, and the direction expected of each.

A direction chosen after looking is worth nothing: with twenty signals half of them would "agree" by chance. So each
has its orientation with the reason, those of probes in ``heatdrift.metrics``, fixed before any data were seen: +1 = a
higher value goes with more retention. The unsigned drifts are signals of their own, because a drift may hurt in either
direction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from heatdrift.metric_types import Probe, probe_column
from heatdrift.metrics import PROBES, run_title


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


_UNSIGNED: Final = "any change of attention is a departure from the features that zero-shot relies on"


def _of_probe(probe: Probe) -> Iterator[Signal]:
    """The results of a probe whose direction is stated: a drift signed and unsigned, else its value."""
    if probe.expected is None:
        return
    orientation, reason = probe.expected.orientation, probe.expected.reason
    for column in (probe_column(probe, kind) for kind in probe.results):
        if column.drift or not probe.has_base:
            yield Signal(name=column.name, column=column.name, orientation=orientation, reason=reason)
        if column.drift:
            absolute = f"abs_{column.name}"
            yield Signal(name=absolute, column=column.name, orientation=-1, reason=_UNSIGNED, kind="absolute")


SIGNALS: Final[tuple[Signal, ...]] = (
    *(signal for probe in PROBES for signal in _of_probe(probe)),
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


def signal_title(name: str) -> str:
    """Words for a signal made from a result column: `|Δ attention entropy|` for abs_delta_entropy_pct."""
    if name == "log10_lr":
        return "log₁₀ learning rate"
    bare = name.removeprefix("abs_")
    title = run_title(bare)
    return f"|{title}|" if bare != name else title
