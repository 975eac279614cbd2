"""Results that compare methods: paired, per layer, along the frontier, and the power to see a difference."""

from typing import Literal

from heatdrift.results.base import Result


class PairedRow(Result, frozen=True, kw_only=True):
    """method_a - method_b over runs that agree in data set, lr and seed; ``dataset`` None = over all data sets.

    ``n`` counts pairs; ``difference``, ``dz``, ``t`` and ``wilcoxon_p`` treat pairs as independent, as published.
    ``seed_difference`` weighs every (data set, lr) equally and is tested against its spread over seeds; the interval
    is its own. ``same_sign``: the mean difference of every (data set, lr) has one sign. ``mean_full_ft`` and
    ``mean_lora_r8`` are null unless these two methods are compared. Not defined (one pair, no variance, one seed) = NaN
    -> null.
    """

    dataset: str | None
    metric: str
    unit: str
    n: int
    n_dropped: int
    mean_full_ft: float | None
    mean_lora_r8: float | None
    mean_a: float
    mean_b: float
    difference: float
    dz: float
    t: float
    t_p: float
    t_p_holm: float
    wilcoxon_p: float
    seed_difference: float
    seed_t: float
    seed_df: float
    seed_p: float
    seed_p_holm: float
    n_seeds: int
    ci_low: float
    ci_high: float
    same_sign: bool


class PairedResult(Result, frozen=True, kw_only=True):
    """All paired comparisons; both Holm adjustments run over ``rows``."""

    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[PairedRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()


class LayerRow(Result, frozen=True, kw_only=True):
    """Seed-level test of one block (``head`` None: mean over its heads) and probe.

    ``test`` "method": method_a - method_b, averaged over lr and data set (``dataset`` and ``method`` None). "drift":
    mean drift of one group against 0. ``p_bh`` and ``p_by`` adjust over the ``family`` rows of the same test and
    metric, blocks and heads apart.
    """

    test: Literal["method", "drift"]
    dataset: str | None
    method: str | None
    metric: str
    unit: str
    layer: int
    head: int | None
    n: int
    n_seeds: int
    estimate: float
    se: float
    df: float
    t: float
    p: float
    p_bh: float
    p_by: float
    family: int
    ci_low: float
    ci_high: float


class LayersResult(Result, frozen=True, kw_only=True):
    """Tests of all blocks and heads at the selected epoch."""

    metrics: tuple[str, ...]
    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    n_runs: int
    n_seeds: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[LayerRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()


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


class FrontierResult(Result, frozen=True, kw_only=True):
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


class PowerResult(Result, frozen=True, kw_only=True):
    """What a seed-level comparison of two methods can find: the asked number of seeds and some others."""

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
