"""Results about two quantities at a time: correlation, dose, predictors of retention."""

from collections.abc import Mapping
from typing import Literal

from heatdrift.results.base import Result


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


class DoseRow(Result, frozen=True, kw_only=True):
    """Trend of a metric over learning rates in one group; ``dataset`` None where there is one only.

    ``rho`` is Spearman's over runs, ``p`` its usual t approximation, ``p_exact`` permutes lr labels within seed (two
    sided; how, in ``p_method``; ``p_smallest`` is the smallest p that these counts of lrs and seeds allow). ``slope``
    is the change per tenfold learning rate with its seed-level interval. ``monotone``: whether the means of the
    learning rates only rise or only fall. ``seed_trend_p``: Student's t over seeds of the correlation with the rank of
    the learning rate within a seed; NaN with one seed or two learning rates. A finding needs it below .05, too.
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


class DoseResult(Result, frozen=True, kw_only=True):
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


class PredictorRow(Result, frozen=True, kw_only=True):
    """How one signal ranks zero-shot retention.

    ``rho``, Spearman over runs, has the sign found. ``rho_within_group`` is the mean over groups of rho times
    ``orientation`` (+1: a higher value was expected with more retention): positive = as expected. The two ``_abs`` are
    means of the absolute value. ``score``, on cell means, is the mean over data sets of rho times orientation; its
    interval and ``gap`` (best signal's score minus this one's) resample cells within groups. ``best_share`` is the
    share of resamples in which this signal scores highest. ``p_adjusted``: permutation of whole cells of retention
    within groups, adjusted for all signals compared. ``seed_level_p``: t over seeds of the rank correlation within
    groups. References take no part in "best" (their share and both p are null).
    """

    signal: str
    when: Literal["final", "epoch1"]
    n: int
    rho: float
    rho_within_dataset_abs: float
    rho_within_group_abs: float
    rho_within_group: float
    orientation: int
    reference: bool
    n_cells: int
    score: float
    ci_low: float
    ci_high: float
    gap: float
    gap_ci_low: float
    gap_ci_high: float
    best_share: float
    p_adjusted: float = float("nan")
    seed_level_p: float = float("nan")


class SelectionRow(Result, frozen=True, kw_only=True):
    """What it costs to let a signal choose among cells of nearly the best validation accuracy.

    Retention of the picked cell (mean over seeds, seed-level interval), of the best (``oracle``) and worst candidate,
    and expected of a random one. ``dataset`` None where there is one only.
    """

    dataset: str | None
    signal: str
    picked: str
    picked_method: str
    picked_lr: float
    retention_pct: float
    ci_low: float
    ci_high: float
    oracle: float
    random: float
    worst: float
    n_candidates: int


class PredictorsResult(Result, frozen=True, kw_only=True):
    """Signals against retention; ``selection`` uses the signals at the selected epoch, ``selection_epoch1`` at 1."""

    metric: str
    unit: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    bootstrap: int
    bootstrap_seed: int
    margin: float
    method: str
    rows: tuple[PredictorRow, ...]
    selection: tuple[SelectionRow, ...]
    selection_epoch1: tuple[SelectionRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
