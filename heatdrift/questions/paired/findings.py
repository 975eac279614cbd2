"""Sentences about differences of two methods: claims, what they leave undecided, and where two tests disagree."""

from collections.abc import Mapping, Sequence

import numpy as np

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim, about_methods, place_key, ranked
from heatdrift.questions.margins import MarginRow, MarginWords
from heatdrift.questions.paired.result import PairedRow
from heatdrift.wording import (
    counted,
    difference_interval,
    family_text,
    method_title,
    number,
    p_text,
    signed,
    t_text,
    with_unit,
)


class PairedFindings:
    """Words for a comparison of two methods."""

    def __init__(
        self, method_a: str, method_b: str, datasets: tuple[str, ...], level: float, titles: Mapping[str, str]
    ) -> None:
        self.methods, self.names = (method_a, method_b), f"{method_a}-{method_b}"
        self.a, self.b, self.datasets, self.level = method_title(method_a), method_title(method_b), datasets, level
        self.titles = titles

    def claims(self, rows: Sequence[PairedRow]) -> tuple[Claim, ...]:
        """One claim per row: a difference at the seed level."""
        return tuple(self._claim(row) for row in rows)

    def of(self, rows: Sequence[PairedRow]) -> tuple[str, ...]:
        """Differences that hold after Holm's adjustment over all rows."""
        tested = [row for row in rows if not np.isnan(row.seed_p)]
        family = self._family(tested)
        supported = [row for row in rows if row.seed_p_holm < ALPHA]
        sentences = [
            (
                (row.seed_p_holm, -abs(row.seed_t)),
                self._claim(row).sentence(f"{family} {p_text(row.seed_p_holm)}" if family else ""),
            )
            for row in supported
        ]
        return tuple(ranked(sentences, self._summary(supported, tested)))

    def undecided(self, rows: Sequence[PairedRow]) -> tuple[str, ...]:
        """Say of each metric of which nothing is supported how large a difference these seeds could miss."""
        silent = []
        for metric in self.titles:
            own = [row for row in rows if row.metric == metric]
            if own and not any(row.seed_p_holm < ALPHA for row in own):
                silent.append(self._undecided(own[-1]))
        return tuple(silent)

    def notes(self, rows: Sequence[PairedRow]) -> tuple[str, ...]:
        """Disagreements of the two tests, averages that hide both signs, and sign flips that say otherwise."""
        found = [self._disagreement(row) for row in rows if self._differ(row)]
        found += [self._reversal(row) for row in rows if row.seed_p_holm < ALPHA and not row.same_sign]
        return (*found, *self._flips(rows))

    def margin_words(self, row: MarginRow) -> MarginWords:
        """Words for a row of a margin."""
        return MarginWords(
            key=f"paired/{row.metric}",
            place=f"{place_key(row.dataset)}/{self.names}",
            subject=self.a,
            other=self.b,
            where=f"in {self.titles[row.metric]} {self._place(row.dataset)}",
        )

    def _claim(self, row: PairedRow) -> Claim:
        title, place = self.titles[row.metric], self._place(row.dataset)
        return Claim(
            key=f"paired/{row.metric}/{place_key(row.dataset)}/{self.names}",
            hypothesis=about_methods(row.metric, row.dataset, *self.methods),
            p=row.seed_p,
            asks=f"{self.a} against {self.b} in {title} {place}{_over_rates(row)}",
            says=f"{self.a} has {'higher' if row.seed_difference > 0 else 'lower'} {title} than {self.b} {place}"
            f"{_over_rates(row)}",
            measured=f"difference {with_unit(signed(row.seed_difference), row.unit)}",
            evidence=(
                difference_interval(self.level, row.ci_low, row.ci_high),
                f"seed-level {t_text(row.seed_df, row.seed_t)}, {p_text(row.seed_p)}",
                seeds_text(row),
            )
            if row.seed_p == row.seed_p
            else (),
            warning="" if row.same_sign else f". Its sign is not the same everywhere: look at {_single(row)}",
        )

    def _summary(self, supported: Sequence[PairedRow], rows: Sequence[PairedRow]) -> str:
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
            f"level ({self._family(rows)}): {'; '.join(parts)}."
        )

    @staticmethod
    def _family(tested: Sequence[PairedRow]) -> str:
        """Words for what Holm's adjustment runs over; none for a single test."""
        if len(tested) < 2:
            return ""
        levels: dict[str, list[str | None]] = {
            "metric": [r.metric for r in tested],
            "data set": [r.dataset for r in tested],
        }
        return f"Holm over {family_text(len(tested), levels)}"

    @staticmethod
    def _differ(row: PairedRow) -> bool:
        known = not (np.isnan(row.t_p) or np.isnan(row.seed_p))
        return known and (row.t_p < ALPHA) != (row.seed_p < ALPHA)

    def _place(self, dataset: str | None) -> str:
        if dataset is not None or len(self.datasets) == 1:
            return f"on {dataset or self.datasets[0]}"
        return f"over {counted(len(self.datasets), 'data set')}"

    def _undecided(self, row: PairedRow) -> str:
        what = f"{self.a} minus {self.b} in {self.titles[row.metric]} {self._place(row.dataset)}"
        if row.seed_difference != row.seed_difference:
            return f"{what}: undecided, these seeds give no seed-level test."
        if row.seed_p != row.seed_p:
            same = with_unit(signed(row.seed_difference), row.unit)
            return f"{what}: {same} on average, and nothing varies between seeds: there is no seed-level test."
        adjusted = f"{p_text(row.seed_p)}, adjusted {p_text(row.seed_p_holm)}"
        p = adjusted if row.seed_p_holm != row.seed_p else p_text(row.seed_p)
        return (
            f"{what}: {with_unit(signed(row.seed_difference), row.unit)} "
            f"({difference_interval(self.level, row.ci_low, row.ci_high)}; {p}; {seeds_text(row)}). Undecided: these "
            f"seeds cannot tell apart differences below {with_unit(number(row.detectable), row.unit)} (80 % power for "
            "one test at 5 %)."
        )

    def _reversal(self, row: PairedRow) -> str:
        return (
            f"The difference {self.a} minus {self.b} in {self.titles[row.metric]} {self._place(row.dataset)} is an "
            f"average over conditions in which it does not have the same sign: look at {_single(row)}."
        )

    def _flips(self, rows: Sequence[PairedRow]) -> tuple[str, ...]:
        """Say which findings sign flips do not support though the seeds are enough for them to decide."""
        return tuple(
            f"{self.a} minus {self.b} in {self.titles[row.metric]} {self._place(row.dataset)}: flipping the signs of "
            f"seeds, which needs no normality, gives {p_text(row.flip_p)} where the t test gives {p_text(row.seed_p)}."
            for row in rows
            if row.seed_p_holm < ALPHA and row.flip_p_least < ALPHA <= row.flip_p
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
            f"The two tests of {self.a} minus {self.b} in {title} {self._place(row.dataset)} disagree at 5 %: "
            f"over pairs {over_pairs}; over seeds {over_seeds}. {reading}"
        )


def _over_rates(row: PairedRow) -> str:
    """Return what the difference is an average of; empty where there is one learning rate."""
    return f", averaged over {counted(row.n_lrs, 'learning rate')}" if row.n_lrs > 1 else ""


def _single(row: PairedRow) -> str:
    return "the single learning rates" if row.n_lrs > 1 else "the single data sets"


def seeds_text(row: PairedRow) -> str:
    """Return on which seeds a row rests: `40 pairs, 5 seeds`, `Welch over 3 and 3 seeds of one method each`."""
    if row.seed_test == "independent":
        return f"Welch over {row.n_seeds_a} and {row.n_seeds_b} seeds of one method each"
    if row.seed_test == "mixed":
        own = f"{row.n_seeds_a - row.n_seeds_shared} and {row.n_seeds_b - row.n_seeds_shared} of one method"
        return f"{counted(row.n_seeds_shared, 'seed')} of both methods, {own}"
    return f"{counted(row.n, 'pair')}, {counted(row.n_seeds, 'seed')}"
