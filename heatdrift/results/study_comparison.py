"""Results that compare two studies: differences over common cells, what the studies differ in, what one side lacks."""

from typing import Literal

from heatdrift.results.base import Result

Pairing = Literal["paired", "unpaired", "single"]


class StudyDifferenceRow(Result, frozen=True, kw_only=True):
    """Study a minus study b in one cell; ``dataset``, ``method`` and ``lr`` None = averaged over all common cells.

    ``how``: "paired" = differences of runs of one seed, interval from their spread over seeds; "unpaired" = no two
    seeds in common, Welch's interval of two means; "single" = too few runs for an interval (NaN -> null). ``n_seeds``
    counts the seeds that were paired (unpaired: the smaller side). ``p_holm`` adjusts over the rows of the same kind
    (cells or averages).
    """

    metric: str
    unit: str
    backbone: str | None
    dataset: str | None
    method: str | None
    lr: float | None
    how: Pairing
    n_cells: int
    n_seeds: int
    n_a: int
    n_b: int
    mean_a: float
    mean_b: float
    difference: float
    se: float
    df: float
    t: float
    p: float
    p_holm: float
    ci_low: float
    ci_high: float


class StudyFact(Result, frozen=True, kw_only=True):
    """One thing that both studies say about their common cells; ``same`` None = at least one does not say it."""

    name: str
    of: str
    a: str
    b: str
    same: bool | None
    decides: bool


class StudyCell(Result, frozen=True, kw_only=True):
    """A cell with finished runs on one side only."""

    backbone: str | None
    dataset: str
    method: str
    lr: float
    n_seeds: int


class StudyComparison(Result, frozen=True, kw_only=True):
    """Two studies side by side; every difference is study a - study b.

    ``matched_on`` names the columns that make two cells one. ``caveats`` say where a comparison is not like with like.
    ``missing_a`` are cells that only b has, ``missing_b`` cells that only a has.
    """

    study_a: str
    study_b: str
    matched_on: tuple[str, ...]
    n_runs_a: int
    n_runs_b: int
    n_cells: int
    n_pairs: int
    conf_level: float
    method: str
    rows: tuple[StudyDifferenceRow, ...]
    facts: tuple[StudyFact, ...]
    caveats: tuple[str, ...]
    missing_a: tuple[StudyCell, ...]
    missing_b: tuple[StudyCell, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
