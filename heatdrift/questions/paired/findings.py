"""Sentences about paired differences: what the seed level supports, and where the test over pairs says otherwise."""

from collections.abc import Mapping

import numpy as np

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import ranked
from heatdrift.questions.paired.result import PairedRow
from heatdrift.wording import (
    counted,
    difference_interval,
    family_text,
    method_title,
    p_text,
    signed,
    t_text,
    with_unit,
)


class PairedFindings:
    """Words for a comparison: differences supported at the seed level, and where the two tests disagree."""

    def __init__(
        self, method_a: str, method_b: str, datasets: tuple[str, ...], level: float, titles: Mapping[str, str]
    ) -> None:
        self.a, self.b, self.datasets, self.level = method_title(method_a), method_title(method_b), datasets, level
        self.titles = titles

    def of(self, rows: list[PairedRow]) -> tuple[str, ...]:
        """Supported differences first, then every disagreement of the two tests."""
        family = self._family([row for row in rows if not np.isnan(row.seed_p)])
        supported = [row for row in rows if row.seed_p_holm < ALPHA]
        disagreeing = [row for row in rows if self._differ(row)]
        differences = ranked(
            [((row.seed_p_holm, -abs(row.seed_t)), self._difference(row, family)) for row in supported],
            self._summary(supported, disagreeing, rows),
        )
        return (*differences, *(self._disagreement(row) for row in disagreeing))

    def _summary(self, supported: list[PairedRow], disagreeing: list[PairedRow], rows: list[PairedRow]) -> str:
        parts = []
        for metric in dict.fromkeys(row.metric for row in rows):
            here = [row for row in supported if row.metric == metric]
            up = sum(row.seed_difference > 0 for row in here)
            parts.append(
                f"{self.titles[metric]} higher in {up} and lower in {len(here) - up} of "
                f"{counted(sum(row.metric == metric for row in rows), 'row')}"
            )
        return (
            f"{len(supported)} of {counted(len(rows), 'difference')} {self.a} minus {self.b} are supported at the seed "
            f"level (Holm over {counted(len(rows), 'row')}): {'; '.join(parts)}. In {counted(len(disagreeing), 'row')} "
            "the test over pairs and the one over seeds disagree at 5 %."
        )

    @staticmethod
    def _family(tested: list[PairedRow]) -> str:
        """Words for what Holm's adjustment runs over; none for a single test."""
        if len(tested) < 2:
            return ""
        levels: dict[str, list[str | None]] = {
            "metric": [r.metric for r in tested],
            "data set": [r.dataset for r in tested],
        }
        return f", Holm over {family_text(len(tested), levels)}"

    @staticmethod
    def _differ(row: PairedRow) -> bool:
        known = not (np.isnan(row.t_p) or np.isnan(row.seed_p))
        return known and (row.t_p < ALPHA) != (row.seed_p < ALPHA)

    def _place(self, row: PairedRow) -> str:
        if row.dataset is not None or len(self.datasets) == 1:
            return f"on {row.dataset or self.datasets[0]}"
        return f"over {counted(len(self.datasets), 'data set')}"

    def _difference(self, row: PairedRow, family: str) -> str:
        title = self.titles[row.metric]
        return (
            f"{self.a} has {'higher' if row.seed_difference > 0 else 'lower'} {title} than {self.b} "
            f"{self._place(row)}, "
            f"averaged over learning rates: difference {with_unit(signed(row.seed_difference), row.unit)} "
            f"({difference_interval(self.level, row.ci_low, row.ci_high)}; seed-level "
            f"{t_text(row.seed_df, row.seed_t)}, {p_text(row.seed_p)}"
            + (f"{family} {p_text(row.seed_p_holm)}" if family else "")
            + f"; {counted(row.n, 'pair')}, {counted(row.n_seeds, 'seed')})."
            + ("" if row.same_sign else " Its sign is not the same everywhere: look at the single learning rates.")
        )

    def _disagreement(self, row: PairedRow) -> str:
        title = self.titles[row.metric]
        over_pairs = f"t({row.n - 1}) = {signed(row.t)}, {p_text(row.t_p)}"
        over_seeds = f"{t_text(row.seed_df, row.seed_t)}, {p_text(row.seed_p)}"
        if row.t_p < ALPHA:
            reading = (
                f"The {counted(row.n, 'pair')} are not independent evidence, they share "
                f"{counted(row.n_seeds, 'seed')}: do not claim this difference."
            )
        else:
            reading = (
                "The difference changes more from one learning rate or data set to the next than from seed to seed: "
                "the paired test counts these changes as noise, the seed-level test asks about the average over "
                "exactly these. Read the difference at each learning rate."
            )
        return (
            f"The two tests of {self.a} minus {self.b} in {title} {self._place(row)} disagree at 5 %: "
            f"over pairs {over_pairs}; over seeds {over_seeds}. {reading}"
        )
