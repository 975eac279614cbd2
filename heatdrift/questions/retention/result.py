"""Results of ``stats retention``: mean retention of methods and of their cells, against 100 %."""

from collections.abc import Iterator

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.margins import MarginRow
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, adjusted_by, csv_rows, grid, opening
from heatdrift.wording import percent


class RetentionRow(Result, frozen=True, kw_only=True):
    """Mean retention of one method, tested against 100 % over seeds.

    ``lr`` None = averaged over the learning rates of the method, each (data set, lr) with equal weight; ``dataset``
    None = over all data sets, or the only one. ``difference`` = mean - 100. ``p_holm`` adjusts over the averages, or
    over the single cells. ``detectable``: the smallest difference from 100 % that such seeds find with 80 % power. Not
    defined (one seed, no variance) = NaN -> null.
    """

    dataset: str | None
    method: str
    lr: float | None
    n_runs: int
    n_seeds: int
    mean: float
    ci_low: float
    ci_high: float
    difference: float
    se: float
    df: float
    t: float
    p: float
    p_holm: float
    detectable: float


class RetentionResult(PresentedResult, frozen=True, kw_only=True):
    """Methods averaged (``rows`` with lr null) and their cells; claims and findings are about the averages.

    ``margins``: the averages against ``margin`` points of loss or gain, where one was given.
    """

    metric: str
    unit: str
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    margin: float | None
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[RetentionRow, ...]
    margins: tuple[MarginRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the rows."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, the averages, the margin, and the cells."""
        yield from opening(self)
        level = percent(self.conf_level)
        averages = [row for row in self.rows if row.lr is None]
        cells = [row for row in self.rows if row.lr is not None]
        chosen = "dataset method n_runs n_seeds mean ci_low ci_high t df p p_holm detectable"
        family = adjusted_by("p_holm", averages, "p", "method dataset")
        yield grid(averages, chosen, title=f"retention ({self.unit}) against 100, {level} intervals; {family}")
        if self.margins:
            chosen = "dataset method low high estimate ci_low ci_high p_low p_high p_low_adjusted p_high_adjusted"
            title = "retention - 100 against the margin: two one-sided tests, 90 % intervals"
            yield grid(self.margins, f"{chosen} decision", title=title)
        if cells:
            chosen = "dataset method lr n_seeds mean ci_low ci_high t df p p_holm"
            family = adjusted_by("p_holm", cells, "p", "method dataset lr")
            yield grid(cells, chosen, title=f"each learning rate: described, no claims; {family}")
