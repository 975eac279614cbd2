"""Results of ``stats dose``: trends over learning rates."""

from collections.abc import Iterator

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, adjusted_by, csv_rows, grid, opening
from heatdrift.wording import learning_rate, method_title, number, percent, sparkline


class DoseRow(Result, frozen=True, kw_only=True):
    """Trend of a metric over learning rates in one group; ``dataset`` None where there is one only.

    ``rho`` is Spearman's over runs, ``p`` its usual t approximation, ``p_exact`` permutes lr labels within seed (two
    sided; how, in ``p_method``; ``p_smallest`` is the smallest p that these counts of lrs and seeds allow). ``slope``
    is the change per tenfold learning rate with its seed-level interval. ``monotone``: whether the means of the
    learning rates only rise or only fall. ``seed_trend_p``: Student's t over seeds of the correlation with the rank of
    the learning rate within a seed; NaN with one seed or two learning rates. A finding needs it below .05, too.
    ``means`` are those at ``lrs``.
    """

    dataset: str | None
    method: str
    metric: str
    unit: str
    n: int
    n_lrs: int
    n_seeds: int
    rho: float
    p: float
    p_exact: float
    p_exact_holm: float
    p_method: str
    p_smallest: float
    slope: float
    ci_low: float
    ci_high: float
    monotone: bool
    seed_trend_p: float = float("nan")
    lrs: tuple[float, ...] = ()
    means: tuple[float, ...] = ()


class DoseResult(PresentedResult, frozen=True, kw_only=True):
    """Trends of all groups and metrics; Holm over ``rows``."""

    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[DoseRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the rows."""
        return csv_rows(self.rows, {"lrs": "", "means": ""})

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, a small drawing of every trend, and one row per group and metric."""
        yield from opening(self)
        yield from self._drawn()
        chosen = "dataset method metric unit n rho p p_exact p_exact_holm seed_trend_p slope ci_low ci_high monotone"
        how = "; ".join(dict.fromkeys(row.p_method for row in self.rows))
        family = adjusted_by("p_exact_holm", self.rows, "p_exact", "metric dataset method")
        title = f"slope per tenfold learning rate with {percent(self.conf_level)} interval; p_exact {how}; {family}"
        yield grid(self.rows, chosen, title=title)

    def _drawn(self) -> Iterator[str]:
        """Yield a line per group: its means at the learning rates, as blocks of their height and in numbers."""
        if self.rows:
            yield "means over seeds, from the lowest to the highest learning rate"
        names = [f"{row.dataset or self.datasets[0]}  {method_title(row.method)}  {row.metric}" for row in self.rows]
        width = max(map(len, names), default=0)
        for name, row in zip(names, self.rows, strict=True):
            ends = f"{number(row.means[0])} at {learning_rate(row.lrs[0])} to {number(row.means[-1])} at "
            yield f"  {name:<{width}}  {sparkline(row.means)}  {ends}{learning_rate(row.lrs[-1])}"
