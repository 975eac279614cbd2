"""Results of ``stats predictors``: signals against retention, and selection by them."""

from typing import Literal

from heatdrift.questions.base import Result


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
