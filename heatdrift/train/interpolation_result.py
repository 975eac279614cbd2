"""What `interpolate` gives: accuracy, retention and drift along the path, and which alpha it recommends and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from heatdrift.questions.tables import Grid
from heatdrift.wording import counted, number

SHOWN: Final = ("weight_drift", "embedding_drift", "cka", "map_js")
_ROUNDING: Final = 1e-9  # two accuracies exactly a margin apart are within it


class AlphaRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the path: base + alpha (adapted - base).

    Attributes
    ----------
    zero_shot_pct, retention_pct : on the transfer set; retention is None where the base has no hit.
    target_pct : accuracy on the target set; None without one.
    means : probe -> value of the whole model.
    """

    alpha: float
    zero_shot_pct: float
    retention_pct: float | None
    target_pct: float | None = None
    means: Mapping[str, float | None] = {}


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """An alpha, the rule that chose it in words; `alpha` None: no model of the path satisfies the rule."""

    alpha: float | None
    reason: str


class InterpolateResult(msgspec.Struct, frozen=True, kw_only=True):
    """A base, an adapted model, and the models between them.

    Attributes
    ----------
    transfer, n_transfer, target, n_target : labelled sets and how many of their images were used.
    images, n_images : what the probes saw.
    target_by : "head" (the trained classifier) or "zero-shot" (prompts); None without a target.
    notes : what the reader must know.
    saved : where the recommended model was written.
    """

    base: str
    adapted: str
    transfer: str
    n_transfer: int
    images: str
    n_images: int
    target: str | None = None
    n_target: int = 0
    target_by: str | None = None
    rows: tuple[AlphaRow, ...] = ()
    recommended: Recommended
    notes: tuple[str, ...] = ()
    saved: str | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Both ends of the path, and the recommendation."""
        first, last = self.rows[0], self.rows[-1]
        ends = (
            f"Zero-shot on {self.transfer} ({counted(self.n_transfer, 'image')}): {number(first.zero_shot_pct)} % at "
            f"alpha 0 ({self.base}), {number(last.zero_shot_pct)} % at alpha 1 ({self.adapted})."
        )
        said = [ends]
        if self.target is not None:
            by = "by the trained head" if self.target_by == "head" else "zero-shot"
            said.append(
                f"{self.target} {by} ({counted(self.n_target, 'image')}): {number(first.target_pct)} % at alpha 0, "
                f"{number(last.target_pct)} % at alpha 1."
            )
        chosen = self.recommended
        named = "No alpha is recommended" if chosen.alpha is None else f"Recommended: alpha {chosen.alpha:g}"
        return (*said, f"{named}: {chosen.reason}.")

    def shown(self) -> Iterator[str | Grid]:
        """Sentences, then the path."""
        yield from self.sentences
        yield from (f"Note: {note}" for note in self.notes)
        rows: list[list[object]] = [list(row.values()) for row in self.csv_rows()]
        yield Grid(list(self.csv_rows()[0]), rows, title="The path from base to adapted")

    def csv_rows(self) -> list[dict[str, object]]:
        """One row per alpha."""
        target = () if self.target is None else ("target_pct",)
        return [
            {
                "alpha": row.alpha,
                **{name: getattr(row, name) for name in target},
                "zero_shot_pct": row.zero_shot_pct,
                "retention_pct": row.retention_pct,
                **{name: row.means.get(name) for name in SHOWN},
            }
            for row in self.rows
        ]


def recommended(rows: Sequence[AlphaRow], *, margin: float, keep: float) -> Recommended:
    """Choose an alpha by a rule that is fixed before looking; the smaller one where two are equal.

    With a target set: of the models within `margin` points of the path's best target accuracy, the one of most
    zero-shot. Without: the largest alpha up to which every model keeps at least `keep` percent of zero-shot.
    """
    if all(row.target_pct is not None for row in rows):
        best = max(row.target_pct or 0.0 for row in rows)
        near = [row for row in rows if (row.target_pct or 0.0) >= best - margin - _ROUNDING]
        chosen = max(near, key=lambda row: (row.zero_shot_pct, -row.alpha))
        reason = (
            f"of {counted(len(near), 'model')} within {margin:g} points of the best target accuracy "
            f"({number(best)} %) it has the most zero-shot ({number(chosen.zero_shot_pct)} %, "
            f"{_kept(chosen)}; target {number(chosen.target_pct)} %)"
        )
        return Recommended(alpha=chosen.alpha, reason=reason)
    if rows[0].retention_pct is None:
        return Recommended(alpha=None, reason="the base classifies no image of the transfer set, so nothing is kept")
    upto = 0
    while upto + 1 < len(rows) and (rows[upto + 1].retention_pct or 0.0) >= keep - _ROUNDING:
        upto += 1
    chosen = rows[upto]
    reason = f"it is the largest alpha up to which at least {keep:g} % of zero-shot is kept ({_kept(chosen)})"
    return Recommended(
        alpha=chosen.alpha, reason=f"{reason}; without --target it is not known what the adaptation gains there"
    )


def _kept(row: AlphaRow) -> str:
    return f"retention {number(row.retention_pct)} %"
