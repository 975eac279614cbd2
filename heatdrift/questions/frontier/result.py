"""Results of ``stats frontier``: cells, their front, matched comparisons."""

from collections.abc import Iterator
from typing import Literal

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, csv_rows, grid, opening
from heatdrift.wording import percent


class FrontierCell(Result, frozen=True, kw_only=True):
    """One cell's accuracy and retention (means over seeds, seed-level intervals) and its place among its data set's.

    ``front_share``: share of resamples of seeds in which no other cell is at least as good in both and better in one.
    ``acc_pct`` and its interval are of the result's ``accuracy``; ``test_acc_pct`` is null where that is not it.
    """

    dataset: str | None
    method: str
    lr: float
    n_seeds: int
    acc_pct: float
    test_acc_pct: float
    acc_ci_low: float
    acc_ci_high: float
    retention_pct: float
    retention_ci_low: float
    retention_ci_high: float
    weight_drift: float
    on_front: bool
    front_share: float
    dominated_by: str | None


class MatchedRow(Result, frozen=True, kw_only=True):
    """Retention of method_a - method_b where both reach the same accuracy or weight drift.

    Mean over the overlap of the two dose curves; NaN with a reason in ``note`` where they do not overlap.
    """

    dataset: str | None
    matched_on: Literal["test_acc_pct", "val_acc_pct", "weight_drift"]
    method_a: str
    method_b: str
    overlap_low: float
    overlap_high: float
    difference: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    n_seeds: int
    note: str


class FrontierResult(PresentedResult, frozen=True, kw_only=True):
    """Accuracy-retention front of cells, and methods compared at matched accuracy and matched weight drift.

    ``accuracy`` names the metric behind both: the test accuracy, or the validation accuracy where no run has another.
    """

    unit: str
    accuracy: Literal["test_acc_pct", "val_acc_pct"]
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    bootstrap: int
    bootstrap_seed: int
    method: str
    cells: tuple[FrontierCell, ...]
    matched: tuple[MatchedRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the cells."""
        return csv_rows(self.cells)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, cells and matched comparisons."""
        yield from opening(self)
        place = "dataset method lr"
        values = "n_seeds acc_pct retention_pct weight_drift on_front front_share dominated_by"
        yield grid(self.cells, f"{place} {values}", title=f"cells, means over seeds (acc_pct: {self.accuracy})")
        ends = "acc_ci_low acc_ci_high retention_ci_low retention_ci_high"
        yield grid(self.cells, f"{place} {ends}", title=f"their {percent(self.conf_level)} intervals")
        matched = "dataset matched_on method_a method_b overlap_low overlap_high difference ci_low ci_high n_seeds"
        title = "retention of method_a - method_b at equal accuracy or weight drift, intervals not adjusted"
        yield grid(self.matched, matched, title=title)
