"""Results of ``stats layers``: tests of blocks and heads."""

from typing import Literal

from heatdrift.questions.base import Result


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
