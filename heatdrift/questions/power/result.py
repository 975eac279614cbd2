"""Results of ``stats power``: detectable differences by number of seeds."""

from collections.abc import Iterator

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, csv_rows, grid, opening


class PowerRow(Result, frozen=True, kw_only=True):
    """Smallest detectable |method_a - method_b| of a seed-level test with ``n_seeds`` seeds.

    ``lr`` None = averaged over learning rates, ``dataset`` None = over data sets. ``sd`` is the study's SD of the
    contrast between seeds with ``sd_df`` degrees of freedom and its chi-square interval; ``ci_low`` and ``ci_high``
    are the detectable effects at the ends of that interval.
    """

    dataset: str | None
    lr: float | None
    n_seeds: int
    detectable: float
    ci_low: float
    ci_high: float
    sd: float
    sd_ci_low: float
    sd_ci_high: float
    sd_df: float


class NeededRow(Result, frozen=True, kw_only=True):
    """Seeds with which |method_a - method_b| = ``difference`` is found, at the SD and at the ends of its interval.

    None: more than 100,000. ``lr`` and ``dataset`` as in the rows.
    """

    dataset: str | None
    lr: float | None
    difference: float
    n_seeds: int | None
    n_seeds_low: int | None
    n_seeds_high: int | None
    sd: float
    sd_ci_low: float
    sd_ci_high: float


class PowerResult(PresentedResult, frozen=True, kw_only=True):
    """What a seed-level comparison of two methods can find: the asked number of seeds and some others.

    ``seed_test``: how seeds are compared (`pairs.seed_level_difference`); with seeds of each method's own all numbers
    of seeds are of each method. ``needed``: seeds for the ``difference`` asked for, where one was. ``claims`` is empty:
    a plan tests nothing, the test at hand is a claim of ``paired``.
    """

    metric: str
    unit: str
    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    seeds: int
    seeds_observed: int
    n_runs: int
    n_dropped: int
    conf_level: float
    alpha: float
    power: float
    method: str
    rows: tuple[PowerRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seed_test: str | None = None
    difference: float | None = None
    needed: tuple[NeededRow, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the rows."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings and detectable differences by number of seeds."""
        yield from opening(self)
        title = f"detectable {self.method_a} - {self.method_b} in {self.metric} ({self.unit})"
        yield grid(self.rows, title=f"{title}, power {self.power:g} at {self.alpha:g}")
        if self.needed:
            yield grid(self.needed, title="seeds needed for the difference, at the SD and at the ends of its interval")
