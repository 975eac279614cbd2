"""Results of ``stats best``: what validation chose, and differences of methods at what it chose."""

from collections.abc import Iterator, Mapping, Sequence

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.outcomes import DecisionRow
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, adjusted_by, csv_rows, grid, opening
from heatdrift.wording import learning_rate as lr_text
from heatdrift.wording import method_title, number, percent, signed


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


class BestResult(PresentedResult, frozen=True, kw_only=True):
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
            yield "what to choose"
            yield from (f"  - {_decided(row, self.datasets)}" for row in self.decisions)
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


def _decided(row: DecisionRow, datasets: Sequence[str]) -> str:
    """Return a decision in a line: `on pets: LoRA r=8 at 3e-3, test_acc_pct 12.3 % (11.3 to 13.4), ...`."""
    place = row.dataset or datasets[0]
    parts = [f"{row.metric} {number(row.mean)} %{_from_to(row.ci_low, row.ci_high)}"]
    if row.zero_shot_base_pct == row.zero_shot_base_pct:
        parts.append(f"zero-shot {number(row.zero_shot_base_pct)} -> {number(row.zero_shot_pct)} %")
    if row.retention_pct == row.retention_pct:
        parts.append(f"retention {number(row.retention_pct)} %{_from_to(row.retention_ci_low, row.retention_ci_high)}")
    if row.runner_up is not None:
        other = f"{method_title(row.runner_up)} at {lr_text(row.runner_up_lr)}"
        parts.append(f"{row.verdict}: {signed(row.difference)} points against {other}")
    return f"on {place}: {method_title(row.method)} at {lr_text(row.lr)}, {', '.join(parts)}"


def _from_to(low: float, high: float) -> str:
    return "" if low != low else f" ({number(low)} to {number(high)})"
