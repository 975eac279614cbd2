"""What `evaluate` gives: zero-shot accuracy with its set-up, and what each difference to a published one changes."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heatdrift.questions.answer import Result
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid
from heatdrift.stats.proportions import paired_difference, wilson_interval
from heatdrift.train.zero_shot_setup import Differing, SetUp, prompt_text
from heatdrift.wording import counted, interval, listed, number, signed

ALL: Final = "all of them"
YOURS: Final = "yours"


class ModelRow(Result, frozen=True, kw_only=True):
    """One model in the set-up that was asked for.

    Attributes
    ----------
    ci_low, ci_high : 95 % Wilson interval of the accuracy over images, in percent.
    retention_pct : of an adapted model, 100 x its accuracy / the base's; None for the base, and where that is 0.
    """

    model: str
    accuracy_pct: float
    ci_low: float
    ci_high: float
    hits: int
    n_images: int
    retention_pct: float | None = None


class ChangeRow(Result, frozen=True, kw_only=True):
    """One model with one thing as published and all else as it was; the last row of a model has all of them.

    Attributes
    ----------
    change : accuracy less that of the set-up that was asked for, in points, with its 95 % interval over images
        (Newcombe's for pairs).
    changed : images that get another class. lost, gained : right before alone, and now alone.
    """

    model: str
    factor: str
    accuracy_pct: float
    ci_low: float
    ci_high: float
    change: float
    change_low: float
    change_high: float
    changed: int
    lost: int
    gained: int
    n_images: int
    retention_pct: float | None = None


class EvaluateResult(PresentedResult, frozen=True, kw_only=True):
    """Zero-shot accuracy of a model, and of one adapted from it, in a stated set-up.

    Attributes
    ----------
    transfer, source, n_images, n_classes : the labelled images.
    set_up : what was asked for.
    published : the set-up it was compared with; None where none was named.
    differing : what differs from it, in words. changes : what each of these changes, alone and together.
    notes : what the reader must know.
    """

    models: tuple[ModelRow, ...]
    transfer: str
    source: str
    n_images: int
    n_classes: int
    set_up: SetUp
    published: str | None = None
    differing: tuple[Differing, ...] = ()
    changes: tuple[ChangeRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each accuracy, what it was measured with, and what the published set-up makes of it."""
        of = f"on {self.transfer} ({counted(self.n_images, 'image')}, {self.n_classes} classes)"
        said = []
        for row in self.models:
            kept = "" if row.retention_pct is None else f", {number(row.retention_pct)} % of the base's"
            ends = interval(row.ci_low, row.ci_high)
            said.append(f"{row.model} {of}: zero-shot {number(row.accuracy_pct, 4)} %, 95 % CI {ends}{kept}.")
        one = self.set_up
        said.append(
            f"Set-up: {one.interpolation} {'with' if one.antialias else 'without'} antialiasing, "
            f"{prompt_text(one)}, {one.activation}, {one.precision}."
        )
        if self.published is None:
            return tuple(said)
        factors = [d.factor for d in self.differing if d.evaluated]
        if not self.changes:
            return (*said, f"Nothing that decides a prediction differs from {self.published}.")
        return (*said, *(self._as_published(row, factors) for row in self.changes if row.factor == ALL))

    def _as_published(self, row: ChangeRow, factors: list[str]) -> str:
        ends = f"95 % CI {signed(row.change_low)} to {signed(row.change_high)}"
        return (
            f"As {self.published} is set up ({listed(factors)} changed), {row.model} has "
            f"{number(row.accuracy_pct, 4)} %: {signed(row.change)} points ({ends}); {counted(row.changed, 'image')} "
            f"of {row.n_images:,} {'gets' if row.changed == 1 else 'get'} another class."
        )

    def shown(self) -> Iterator[str | Grid]:
        """Sentences, what differs, and what each difference changes."""
        yield from self.sentences
        yield from (f"Note: {note}" for note in self.notes)
        if self.differing:
            rows = [[d.factor, d.yours, d.published] for d in self.differing]
            yield Grid(["differs", "yours", f"{self.published}"], rows, title="What differs")
        head = ["model", "as published", "accuracy_pct", "ci_low", "ci_high"]
        extra = ["change", "change_low", "change_high", "changed", "lost", "gained"]
        kept = ["retention_pct"] if len(self.models) > 1 else []
        yield Grid(
            [*head, *(extra if self.changes else []), *kept],
            [
                [row["model"], row["factor"], *(row[name] for name in [*head[2:], *(extra if self.changes else [])]),
                 *(row[name] for name in kept)]
                for row in self.csv_rows()
            ],
            title="Accuracy in %, changes in points, images" if self.changes else "Accuracy in %",
        )  # fmt: skip

    def csv_rows(self) -> list[dict[str, object]]:
        """One row per model and set-up; `factor` is `yours` for the one that was asked for."""
        rows: list[dict[str, object]] = []
        for model in self.models:
            rows.append(_row(model, YOURS))
            rows += [_row(change, change.factor) for change in self.changes if change.model == model.model]
        return rows


_COLUMNS: Final = (
    *("accuracy_pct", "ci_low", "ci_high", "change", "change_low", "change_high", "changed", "lost", "gained"),
    *("n_images", "retention_pct"),
)


def _row(one: ModelRow | ChangeRow, factor: str) -> dict[str, object]:
    return {"model": one.model, "factor": factor, **{name: getattr(one, name, None) for name in _COLUMNS}}


def model_row(name: str, hits: NDArray[np.bool_], base: NDArray[np.bool_] | None) -> ModelRow:
    """Accuracy of a model from its hits (n,); `base` are those of the model it was adapted from."""
    right, n = int(hits.sum()), len(hits)
    low, high = wilson_interval(right, n)
    return ModelRow(
        model=name, accuracy_pct=100 * right / n, ci_low=100 * low, ci_high=100 * high, hits=right, n_images=n,
        retention_pct=_retention(hits, base),
    )  # fmt: skip


def change_row(
    name: str,
    factor: str,
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    label: NDArray[np.int64],
    base: NDArray[np.int64] | None,
) -> ChangeRow:
    """What a changed set-up does to the classes (n,) that a model gives; `base`: the base's classes after it."""
    was, now = before == label, after == label
    row = model_row(name, now, None if base is None else base == label)
    lost, gained = int((was & ~now).sum()), int((~was & now).sum())
    change = paired_difference(int((was & now).sum()), lost, gained, int((~was & ~now).sum()))
    return ChangeRow(
        model=name,
        factor=factor,
        accuracy_pct=row.accuracy_pct,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
        change=100 * change[0],
        change_low=100 * change[1],
        change_high=100 * change[2],
        changed=int((before != after).sum()),
        lost=lost,
        gained=gained,
        n_images=row.n_images,
        retention_pct=row.retention_pct,
    )


def _retention(hits: NDArray[np.bool_], base: NDArray[np.bool_] | None) -> float | None:
    return None if base is None or not base.any() else 100 * int(hits.sum()) / int(base.sum())
