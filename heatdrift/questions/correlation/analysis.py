"""stats correlation: how two metrics go together, pooled, within data sets, within groups, and given the learning rate.

A pooled correlation mixes differences between groups (dataset x method) with what happens within them, and the two can
point in opposite directions (Simpson). So every level is given with the pooled one, and a reversal is flagged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.accuracy import shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_title
from heatdrift.primary import CORRELATION
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.correlation import X, Y
from heatdrift.questions.correlation.findings import (
    REVERSAL_CELLS,
    correlation_claims,
    correlation_findings,
    reversal_note,
)
from heatdrift.questions.correlation.result import Association, CorrelationResult
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.selection import Selection, check_level, check_seed, select_runs, study_name
from heatdrift.stats.cell_correlation import (
    CellTable,
    bootstrap_interval,
    correlation_within,
    permutation_p,
    seed_level_p,
)

Codes = npt.NDArray[np.intp]

# A group speaks against the pooled sign only from this size on: around zero a sign means nothing.
REVERSAL_SIZE: Final = 0.1
_METHOD: Final = (
    "Pearson and Spearman over runs; intervals by resampling cells (dataset x method x lr) within dataset x method, p "
    "by permuting whole cells within groups; rmcorr: group means removed, partial: means of learning rates removed"
)


@dataclass(frozen=True, slots=True)
class _Resampling:
    bootstrap: int
    seed: int
    permutations: int
    level: float


@AnyFrames("runs")
def correlation(
    runs: pl.DataFrame,
    *,
    x: str,
    y: str,
    bootstrap: int = 2000,
    seed: int = 0,
    permutations: int = 9999,
    conf_level: float = 0.95,
) -> CorrelationResult:
    """Correlate two metrics over the finished runs, with cells as the resampling unit.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. x, y : two different result columns.
    bootstrap : resamples of cells within dataset x method, for the percentile intervals of Pearson's r.
    seed : of the resampling; the result is a function of the runs (in any order) and this seed.
    permutations : random arrangements where there are too many to enumerate.

    Returns
    -------
    CorrelationResult. ``rmcorr`` removes the mean of each group (repeated-measures correlation with the group as
    subject, Bakdash and Marusich 2017); ``partial`` removes the mean of each learning rate (lr as a factor). Spearman
    is Pearson on ranks; for rmcorr and partial the ranks are taken within each group or learning rate. Where runs are
    too few or do not vary, NaN.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric; x equal to y; no usable run; x or y the same in all of several runs; settings out of range.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.correlation(heatdrift.read_runs("mini"), x="cka", y="retention_pct", bootstrap=200)
    >>> round(answer.pooled.spearman, 2), len(answer.charts())
    (0.97, 1)
    """
    x_column, y_column = shown_column(x, runs), shown_column(y, runs)
    if x == y:
        raise StatsError(f"x and y are both {x}: a metric correlates perfectly with itself", hint="choose two metrics")
    check_level(conf_level)
    check_seed(seed)
    if bootstrap < 1 or permutations < 1:
        raise StatsError(
            f"bootstrap ({bootstrap}) and permutations ({permutations}) must be at least 1",
            hint="for example --bootstrap 2000",
        )
    selection = select_runs(runs, [x, y])
    for option, metric in (("--x", x), ("--y", y)):
        values = selection.frame[metric].to_numpy()
        if values.size > 1 and np.ptp(values) == 0.0:
            raise StatsError(
                f"{metric} is {values[0]:g} in all {values.size} runs: there is nothing to correlate",
                hint=f"choose another {option}",
            )
    table, cells = _table(selection, x, y)
    settings = _Resampling(bootstrap=bootstrap, seed=seed, permutations=permutations, level=conf_level)

    def plain(marked: npt.NDArray[np.bool_]) -> Association:
        part = table.subset(marked)
        return _associate(part, np.zeros(part.n_cells, dtype=np.intp), part.group, "groups", settings)

    datasets = cells["dataset"].to_numpy()
    groups = (cells["dataset"] + "/" + cells["method"]).to_numpy()
    by_dataset = {str(name): plain(datasets == name) for name in dict.fromkeys(datasets.tolist())}
    by_group = {str(name): plain(groups == name) for name in dict.fromkeys(groups.tolist())}
    pooled = plain(np.ones(table.n_cells, dtype=bool))
    rmcorr = partial = None
    if len(by_group) > 1:
        rmcorr = _associate(table, table.group, table.group, "groups", settings)
    if np.ptp(table.lr) > 0:
        partial = _associate(table, table.lr, table.lr, "learning rates", settings)
    reversal = _sign_reversal(pooled, [*([rmcorr] if rmcorr else []), *by_group.values()])
    claims = correlation_claims(x_column, y_column, pooled, rmcorr, by_group)
    return CorrelationResult(
        study=study_name(runs),
        selection=selection.described(),
        conf_level=conf_level,
        method=_METHOD,
        x=x,
        y=y,
        x_unit=x_column.unit,
        y_unit=y_column.unit,
        n_runs=table.x.size,
        n_dropped=selection.n_dropped,
        bootstrap=bootstrap,
        bootstrap_seed=seed,
        pooled=pooled,
        by_dataset=by_dataset,
        by_group=by_group,
        rmcorr=rmcorr,
        partial=partial,
        sign_reversal=reversal,
        claims=claims,
        findings=correlation_findings(claims),
        notes=(reversal_note(x_column, y_column, pooled, by_group),) if reversal else (),
        left_out=selection.left_out,
        caveats=run_caveats(runs, [x, y], methods=[str(m) for m in selection.levels("method")]),
    )


def _table(selection: Selection, x: str, y: str) -> tuple[CellTable, pl.DataFrame]:
    """Cells in the order dataset, method (full_ft first), lr; groups and learning rates coded in that order."""
    frame = selection.frame
    order = {name: i for i, name in enumerate(selection.levels("method"))}
    cells = (
        frame.select("dataset", "method", "lr")
        .unique()
        .with_columns(pl.col("method").replace_strict(order, return_dtype=pl.Int64).alias("rank"))
        .sort("dataset", "rank", "lr")
        .with_row_index("cell")
    )
    numbered = frame.join(cells, on=["dataset", "method", "lr"], how="left", maintain_order="left")
    group = cells.select(pl.struct("dataset", "rank").rank("dense").alias("code"))["code"].to_numpy() - 1
    lr = cells["lr"].rank("dense").to_numpy() - 1
    seed = numbered["seed"].rank("dense").to_numpy() - 1
    table = CellTable(
        x=numbered[x].to_numpy().astype(float),
        y=numbered[y].to_numpy().astype(float),
        cell=numbered["cell"].to_numpy().astype(np.intp),
        seed=seed.astype(np.intp),
        group=group.astype(np.intp),
        lr=lr.astype(np.intp),
    )
    return table, cells


def _associate(table: CellTable, removed: Codes, blocks: Codes, block_words: str, settings: _Resampling) -> Association:
    """Both coefficients after removing the means of `removed`; interval and permutation each have a generator."""
    pearson = correlation_within(table, removed)
    low = high = p = float("nan")
    defined = 0
    how = "none: the correlation is not defined"
    if not np.isnan(pearson):
        rng, permutation_rng = (np.random.default_rng([settings.seed, stream]) for stream in (0, 1))
        low, high, defined = bootstrap_interval(table, removed, draws=settings.bootstrap, level=settings.level, rng=rng)
        p, how = permutation_p(table, removed, blocks, draws=settings.permutations, rng=permutation_rng)
        how = f"{how} within {block_words}"
    return Association(
        n=table.x.size,
        n_cells=table.n_cells,
        pearson=pearson,
        spearman=correlation_within(table.centred_ranks(removed), removed),
        ci_low=low,
        ci_high=high,
        conf_level=settings.level,
        ci_method=(
            "percentile bootstrap of Pearson's r: cells with all their seeds, within dataset x method; "
            f"B = {settings.bootstrap}, seed {settings.seed}, {defined} resamples with a correlation"
        ),
        p_permutation=p,
        permutation=how,
        seed_level_p=seed_level_p(table, removed),
    )


def _sign_reversal(pooled: Association, within: list[Association]) -> bool:
    """Whether pooled r and a within-group r (rmcorr or a group), both at least REVERSAL_SIZE, have opposite signs.

    Groups of fewer than REVERSAL_CELLS cells do not count: the r of one cell is over its seeds, that of two has one
    slope to show and nothing to deny it.
    """
    if not abs(pooled.pearson) >= REVERSAL_SIZE:
        return False
    return any(
        a.n_cells >= REVERSAL_CELLS and abs(a.pearson) >= REVERSAL_SIZE and a.pearson * pooled.pearson < 0
        for a in within
    )


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield attention support against retention, and what the study asks first."""
    usual = (str(X.default), str(Y.default))
    primary = [(str(q.against), q.metric) for q in study.asked.primary if q.term == CORRELATION]
    for x, y in dict.fromkeys([*primary, usual]):
        ask = partial(correlation, study.runs, x=x, y=y, conf_level=study.conf_level)
        yield f"{run_title(y)} against {run_title(x)}", ask
