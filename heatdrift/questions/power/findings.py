"""Sentences about power: the smallest detectable difference, what more seeds would buy, how sure the SD is."""

from collections.abc import Sequence
from dataclasses import dataclass

from heatdrift.metrics import Column
from heatdrift.questions.pairs import SeedDifference
from heatdrift.questions.power.result import NeededRow, PowerRow
from heatdrift.wording import (
    counted,
    degrees,
    difference_interval,
    difference_unit,
    method_title,
    number,
    p_text,
    percent,
    signed,
    with_unit,
)


@dataclass(frozen=True, slots=True)
class PowerWords:
    """Words for a plan of two methods in one metric."""

    column: Column
    datasets: Sequence[str]
    method_a: str
    method_b: str
    level: float
    target: float

    def plan(self, rows: Sequence[PowerRow], seeds: int, test: SeedDifference) -> tuple[str, ...]:
        """Return the sentences for `seeds` planned; none where the average has no test."""
        single = [row for row in rows if row.lr is not None and row.n_seeds == seeds]
        averaged = [*(["learning rates"] if single else []), *(["data sets"] if len(self.datasets) > 1 else [])]
        overall = {row.n_seeds: row for row in rows if row.dataset is None and row.lr is None}
        if seeds not in overall:
            return ()
        asked = overall[seeds]
        over = f", averaged over {' and '.join(averaged)}," if averaged else ""
        sentences = [
            f"With {_of_each(seeds, test)} a seed-level test finds a difference {self._pair} in {self.column.title}"
            f"{over} with {percent(self.target)} power when it is at least {self._unit(number(asked.detectable))} "
            f"(SD between seeds {number(asked.sd)} from {_observed(test)}; at the ends of the SD's "
            f"{percent(self.level)} interval {number(asked.ci_low)} to {number(asked.ci_high)})."
        ]
        more = [overall[s] for s in sorted(overall) if s > seeds][:2]
        if more:
            shown = ", ".join(f"{row.n_seeds} seeds {self._unit(number(row.detectable))}" for row in more)
            sentences.append(f"More seeds would lower that to: {shown}, if the SD is what it seems.")
        if single:
            ordered = sorted(single, key=lambda row: row.detectable)
            sentences.append(
                f"At one learning rate it is between {number(ordered[0].detectable)} and "
                f"{self._unit(number(ordered[-1].detectable))}, before any adjustment for several learning rates."
            )
        if asked.sd_df < 9:
            sentences.append(
                f"The SD rests on {degrees(asked.sd_df)} degrees of freedom: it may be "
                f"{number(asked.sd_ci_high / asked.sd)} times as large. Plan with the upper end."
            )
        return tuple(sentences)

    def needed(self, rows: Sequence[NeededRow]) -> tuple[str, ...]:
        """Return how many seeds the wanted difference needs, on average over everything."""
        return tuple(
            f"A difference of {self._unit(number(row.difference))} needs {_seeds(row.n_seeds)} for "
            f"{percent(self.target)} power; at the ends of the SD's {percent(self.level)} interval "
            f"{_seeds(row.n_seeds_low)} and {_seeds(row.n_seeds_high)}."
            for row in rows
            if row.dataset is None and row.lr is None
        )

    def undecided(self, test: SeedDifference, alpha: float) -> tuple[str, ...]:
        """Say what the seeds at hand leave open, where they show no difference."""
        if test.p < alpha:
            return ()
        what = f"{self._pair} in {self.column.title}"
        if test.p != test.p:
            return (f"{what}: undecided, these seeds give no seed-level test of the average.",)
        low, high = test.interval(self.level)
        detectable = test.detectable(alpha=alpha, target=self.target)
        return (
            f"{what} at hand: {self._unit(signed(test.estimate))} ({difference_interval(self.level, low, high)}; "
            f"{p_text(test.p)}; {_observed(test)}). Undecided: these seeds cannot tell apart differences below "
            f"{self._unit(number(detectable))} ({percent(self.target)} power for one test at {percent(alpha)}).",
        )

    @property
    def _pair(self) -> str:
        return f"{method_title(self.method_a)} minus {method_title(self.method_b)}"

    def _unit(self, text: str) -> str:
        return with_unit(text, difference_unit(self.column.unit))


def _seeds(n: int | None) -> str:
    return "more than 100,000 seeds" if n is None else counted(n, "seed")


def _of_each(seeds: int, test: SeedDifference) -> str:
    if test.how == "pairs":
        return counted(seeds, "seed")
    if test.own_seed_each:
        return f"{counted(seeds, 'run')} of each method in each cell, each of its own seed,"
    return f"{counted(seeds, 'seed')} of each method"


def _observed(test: SeedDifference) -> str:
    if test.how == "pairs":
        return counted(test.n_seeds, "seed")
    return f"{test.n_seeds_a} and {test.n_seeds_b} seeds of the methods"
