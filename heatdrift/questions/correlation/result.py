"""Results of ``stats correlation``: associations of two metrics."""

from collections.abc import Mapping

from heatdrift.questions.base import Result


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


class CorrelationResult(Result, frozen=True, kw_only=True):
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
