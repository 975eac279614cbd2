"""Results of ``stats best``: what validation chose, and differences of methods at what it chose."""

from collections.abc import Iterator, Mapping
from math import nan
from typing import Literal

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.tables import Grid, adjusted_by, csv_rows, grid, opening
from heatdrift.wording import learning_rate as lr_text
from heatdrift.wording import percent


class ChoiceRow(Result, frozen=True, kw_only=True):
    """What validation chose for one method on one data set, and one metric there (mean over seeds, t interval).

    ``chosen`` counts seeds by the learning rate that they chose. ``lr_by_mean`` has the highest validation accuracy in
    the mean over seeds: the one to use. ``n_at_edge`` seeds chose the lowest or highest of ``n_lrs`` learning rates: a
    better one may lie outside of the grid. ``dataset`` None where there is one only.
    """

    dataset: str | None
    method: str
    metric: str
    unit: str
    n_seeds: int
    n_lrs: int
    chosen: Mapping[str, int]
    lr_by_mean: float
    n_at_edge: int
    mean: float
    ci_low: float
    ci_high: float


class BestRow(Result, frozen=True, kw_only=True):
    """method_a - method_b, each at the learning rate that validation chose for it in the seed.

    ``dataset`` None: mean over all data sets, each with equal weight (or the only one). Selection is repeated in every
    seed, so the spread over seeds holds its uncertainty, too. ``n_linked`` seeds are of both methods (paired); the
    others are independent, as in Welch's test. ``p_holm`` adjusts over ``rows``. Not defined = NaN -> null.
    """

    dataset: str | None
    metric: str
    unit: str
    method_a: str
    method_b: str
    mean_a: float
    mean_b: float
    difference: float
    se: float
    df: float
    t: float
    p: float
    p_holm: float
    ci_low: float
    ci_high: float
    n_linked: int
    n_only_a: int
    n_only_b: int


Verdict = Literal["real", "real, within the margin", "equivalent", "undecided", "not tested", "no other method"]


class KeptMost(Result, frozen=True, kw_only=True):
    """The cell with most retention of the ``n_close`` ones whose mean validation accuracy is within the margin."""

    method: str
    lr: float
    n_seeds: int
    n_close: int
    mean: float
    ci_low: float
    ci_high: float
    retention_pct: float
    retention_ci_low: float
    retention_ci_high: float


class DecisionRow(Result, frozen=True, kw_only=True):
    """What validation chooses on one data set, what it is worth, and whether it is better than the next method.

    ``mean`` of the accuracy ``metric`` and its t interval over seeds, each seed at its own choice; ``lr`` is best in
    the mean. ``difference`` to ``runner_up``, which validation ranks second, at its own choices; ``p_holm`` over the
    data sets. ``verdict``: real (p_holm < 5 %), within the ``margin`` or not; equivalent (both one-sided tests against
    the margin); undecided. ``seeds_to_settle``: seeds with which a difference of the margin is found with 80 % power.
    ``dataset`` None where there is one only. Not defined or not measured = NaN -> null.
    """

    dataset: str | None
    method: str
    lr: float
    chosen: Mapping[str, int]
    n_seeds: int
    metric: str
    mean: float
    ci_low: float
    ci_high: float
    zero_shot_chance_pct: float
    zero_shot_base_pct: float
    zero_shot_pct: float
    zero_shot_ci_low: float
    zero_shot_ci_high: float
    retention_pct: float
    retention_ci_low: float
    retention_ci_high: float
    margin: float
    kept_most: KeptMost | None
    runner_up: str | None = None
    runner_up_lr: float = nan
    difference: float = nan
    difference_ci_low: float = nan
    difference_ci_high: float = nan
    se: float = nan
    df: float = nan
    p: float = nan
    p_holm: float = nan
    verdict: Verdict = "no other method"
    seeds_to_settle: int | None = None


class BestResult(Result, frozen=True, kw_only=True):
    """Choices of all methods, and all their differences, Holm over ``rows``; and one decision per data set."""

    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    choices: tuple[ChoiceRow, ...]
    rows: tuple[BestRow, ...]
    decisions: tuple[DecisionRow, ...] = ()
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the differences."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, what validation chose, and the differences."""
        yield from opening(self)
        level = percent(self.conf_level)
        if self.decisions:
            chosen = "dataset method lr mean ci_low ci_high zero_shot_base_pct zero_shot_pct retention_pct runner_up"
            title = f"what validation chooses, and whether it is better than the next method, {level} intervals"
            yield grid(self.decisions, f"{chosen} difference p_holm verdict", title=title)
        columns = ("dataset", "method", "metric", "unit", "mean", "ci_low", "ci_high", "chosen in seeds", "lr by mean")
        lines = [
            (
                c.dataset,
                c.method,
                c.metric,
                c.unit,
                c.mean,
                c.ci_low,
                c.ci_high,
                chosen_text(c),
                lr_text(c.lr_by_mean),
            )
            for c in self.choices
        ]
        yield Grid(columns, lines, f"at the learning rate of the best validation accuracy, {level} intervals")
        chosen = "dataset metric unit method_a method_b mean_a mean_b difference ci_low ci_high t df p p_holm"
        family = adjusted_by("p_holm", self.rows, "p", "metric dataset method_a method_b")
        yield grid(self.rows, chosen, title=f"method_a - method_b, {level} intervals; {family}")


def chosen_text(choice: ChoiceRow) -> str:
    """Return how many seeds chose which learning rate: `3e-3 in 5`, `1e-3 in 2, 3e-3 in 3`."""
    return ", ".join(f"{lr} in {n}" for lr, n in choice.chosen.items())
