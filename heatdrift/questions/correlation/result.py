"""Results of ``stats correlation``: associations of two metrics."""

from collections.abc import Iterator, Mapping
from typing import Final

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, finding_lines, limits
from heatdrift.wording import percent

_SHOWN: Final = (
    "n",
    "n_cells",
    "pearson",
    "ci_low",
    "ci_high",
    "spearman",
    "p_permutation",
    "seed_level_p",
    "permutation",
)


class Association(Result, frozen=True, kw_only=True):
    """Correlation of two metrics over runs; the interval resamples cells, never runs.

    ``n`` counts runs, ``n_cells`` the cells (dataset x method x lr) that were resampled or permuted. A value that is
    not defined for these data (fewer than three runs, no variance) is NaN -> null. ``seed_level_p``: Student's t over
    seeds of the correlation within a seed; a finding needs it, the permutation and the interval.
    """

    n: int
    n_cells: int
    pearson: float
    spearman: float
    ci_low: float
    ci_high: float
    conf_level: float
    ci_method: str
    p_permutation: float
    permutation: str
    seed_level_p: float = float("nan")


class CorrelationResult(PresentedResult, frozen=True, kw_only=True):
    """Association of x and y: pooled, within data set, within group, repeated-measures and partial given lr.

    ``selection`` names the levels of each factor among the runs used.
    """

    x: str
    y: str
    x_unit: str
    y_unit: str
    n_runs: int
    n_dropped: int
    bootstrap: int
    bootstrap_seed: int
    pooled: Association
    by_dataset: Mapping[str, Association]
    by_group: Mapping[str, Association]
    rmcorr: Association | None
    partial: Association | None
    sign_reversal: bool
    findings: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    study: str | None = None
    selection: Mapping[str, tuple[str | float, ...]] = {}
    conf_level: float = float("nan")
    method: str = ""
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return one row per level."""
        return [dict(zip(("level", *_SHOWN), row, strict=True)) for row in self._rows()]

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings and one row per level: pooled, data sets, groups, repeated-measures, partial."""
        yield (
            f"{self.x} [{self.x_unit}] against {self.y} [{self.y_unit}]: {self.n_runs} runs, {self.n_dropped} left out"
        )
        yield from limits(self.left_out, self.caveats)
        yield from finding_lines(self.findings, self.descriptions, self.notes)
        title = f"{percent(self.pooled.conf_level)} interval: {self.pooled.ci_method}; p not adjusted"
        yield Grid(("level", *_SHOWN), self._rows(), title)

    def _rows(self) -> list[tuple[object, ...]]:
        levels: list[tuple[str, Association | None]] = [("pooled", self.pooled)]
        levels += [(f"within {name}", value) for name, value in (*self.by_dataset.items(), *self.by_group.items())]
        levels += [("repeated measures", self.rmcorr), ("partial, given lr", self.partial)]
        return [(name, *(getattr(a, field) for field in _SHOWN)) for name, a in levels if a is not None]
