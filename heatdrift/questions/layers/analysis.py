"""stats layers: where in the network two methods differ, and where attention drifted at all.

Every block, head and probe is a response on one shared design, so the whole family costs two matrix products
(``cluster_tests.py``). Hundreds of tests are only worth reading with the false discovery rate controlled:
Benjamini-Hochberg (valid under independence or positive dependence) and Benjamini-Yekutieli (under any dependence).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.accuracy import finished
from heatdrift.errors import StatsError
from heatdrift.metrics import PROBE
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.layers import PAGE_PROBES
from heatdrift.questions.layers.findings import layer_claims, layer_findings, silent_methods
from heatdrift.questions.layers.responses import LAYER_METRICS, Responses, block_responses, probe_of, refuse_unmeasured
from heatdrift.questions.layers.result import LayerRow, LayersResult
from heatdrift.questions.pairs import PAIR, check_pair
from heatdrift.questions.selection import (
    FACTORS,
    check_level,
    codes,
    largest_block,
    select_runs,
    shown_dataset,
    study_name,
)
from heatdrift.stats.cluster_robust import CellMeans, WithinClusters, cell_indicators
from heatdrift.stats.cluster_tests import ClusterContrast, cluster_contrast
from heatdrift.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli
from heatdrift.wording import difference_unit

Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "one response per block, head and probe, taken at the selected epoch: drift in % of base where the probe has a "
    "base "
    "value, else the value. Cell means, seed-level t tests (CR2, Satterthwaite df; balanced: df = S - 1). Test "
    "'method': {a} - {b}, equal weight to every lr and data set; 'drift': mean of a group against 0. p_bh, p_by: "
    "Benjamini-Hochberg and -Yekutieli over all rows of the same test and metric, blocks and heads apart"
)


@AnyFrames("runs", "layers", "heads", needs=("cell_id", "selected_epoch"))
def layers(
    runs: pl.DataFrame,
    blocks: pl.DataFrame,
    heads: pl.DataFrame | None = None,
    *,
    metrics: Sequence[str] | None = None,
    method_a: str = PAIR[0],
    method_b: str = PAIR[1],
    conf_level: float = 0.95,
) -> LayersResult:
    """Test every block and head at the selected epoch.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. blocks, heads : rows of the views ``layers``
        and ``heads`` of (at least) these runs; heads may be absent or empty.
    metrics : per-block probes ('entropy', or its drift 'delta_entropy_pct'); None = all that were measured.
    method_a, method_b : differences are a - b. Where all runs have one method, only drift is tested.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown probe or method; no usable run; one seed; nothing measured in every run.

    Examples
    --------
    >>> import heatdrift
    >>> store = heatdrift.Store.shipped()
    >>> runs, blocks = (store.view(name, study="mini") for name in ("runs", "layers"))
    >>> answer = heatdrift.layers(runs, blocks, metrics=["entropy"])
    >>> answer.n_runs, sum(row.p_bh < 0.05 for row in answer.rows if row.test == "method")
    (80, 10)
    """
    check_level(conf_level)
    asked = tuple(dict.fromkeys(probe_of(name) for name in metrics or LAYER_METRICS))
    selection = largest_block(select_runs(runs, []))
    frame = selection.frame
    if frame["seed"].n_unique() < 2:
        raise StatsError(
            "all usable runs have one seed: without a second there is no error term", hint="train more seeds"
        )
    measured = frame.join(
        finished(runs).select(*FACTORS[:2], pl.col("lr").cast(pl.Float64), "seed", "cell_id", "selected_epoch"),
        on=FACTORS,
        how="left",
        maintain_order="left",
    ).with_row_index("run")
    responses, left_out = block_responses(measured, blocks, heads, asked)
    if metrics:
        refuse_unmeasured(asked, responses)
    datasets = tuple(str(d) for d in selection.levels("dataset"))
    rows: list[LayerRow] = []
    methods = [str(m) for m in selection.levels("method")]
    seeds = codes(frame, "seed")
    if len(methods) > 1:
        check_pair(frame, method_a, method_b)
        contrast = _method_contrast(frame, method_a, method_b)
        rows += _rows("method", None, None, responses, contrast, conf_level, responses.values)
    else:
        left_out.append(f"all runs have method {methods[0]}: methods are not compared")
    with_base = Responses(
        values=responses.values[[PROBE[m].has_base for m, _, _ in responses.keys]],
        keys=tuple(key for key in responses.keys if PROBE[key[0]].has_base),
    )
    for dataset in datasets:
        for method in methods:
            here = ((frame["dataset"] == dataset) & (frame["method"] == method)).to_numpy()
            if not here.any() or not with_base.keys or np.unique(seeds[here]).size < 2:
                continue
            contrast = _mean_contrast(frame.filter(pl.Series(here)))
            shown = shown_dataset(dataset, datasets)
            rows += _rows("drift", shown, method, with_base, contrast, conf_level, with_base.values[:, here])
    rows = _adjusted(rows)
    claims = layer_claims(rows, method_a, method_b, datasets, frame["lr"].n_unique(), ALPHA)
    return LayersResult(
        study=study_name(runs),
        metrics=tuple(dict.fromkeys(metric for metric, _, _ in responses.keys)),
        method_a=method_a,
        method_b=method_b,
        datasets=datasets,
        n_runs=frame.height,
        n_seeds=int(seeds.max()) + 1,
        n_dropped=runs.height - frame.height,
        conf_level=conf_level,
        method=_METHOD.format(a=method_a, b=method_b),
        rows=tuple(rows),
        claims=claims,
        findings=layer_findings(claims, ALPHA),
        descriptions=silent_methods(claims, ALPHA),
        left_out=(*selection.left_out, *left_out),
        caveats=run_caveats(runs, asked),
    )


def _method_contrast(frame: pl.DataFrame, method_a: str, method_b: str) -> ClusterContrast:
    """Weights of a - b, with equal weight to every (data set, lr)."""
    cell = codes(frame, "dataset", "method", "lr")
    first = np.unique(cell, return_index=True)[1]
    method = frame["method"].to_numpy()[first]
    row = (method == method_a) / np.sum(method == method_a) - (method == method_b) / np.sum(method == method_b)
    return cluster_contrast(WithinClusters(cell_indicators(cell), codes(frame, "seed")), row[None, :])


def _mean_contrast(group: pl.DataFrame) -> ClusterContrast:
    """Mean of a group with equal weight to every learning rate."""
    fit = CellMeans(codes(group, "lr"), codes(group, "seed"))
    return cluster_contrast(fit, fit.mean)


def _rows(
    test: str,
    dataset: str | None,
    method: str | None,
    responses: Responses,
    contrast: ClusterContrast,
    level: float,
    values: Floats,
) -> list[LayerRow]:
    found = contrast.t_tests(values)
    low, high = found.interval(level)
    nan = float("nan")
    return [
        LayerRow(
            test="method" if test == "method" else "drift",
            dataset=dataset,
            method=method,
            metric=metric,
            unit=_unit(metric, test),
            layer=layer,
            head=head,
            n=values.shape[1],
            n_seeds=found.n_clusters,
            estimate=float(found.estimate[i]),
            se=float(found.se[i]),
            df=found.df,
            t=float(found.t[i]),
            p=float(found.p[i]),
            p_bh=nan,
            p_by=nan,
            family=0,
            ci_low=float(low[i]),
            ci_high=float(high[i]),
        )
        for i, (metric, layer, head) in enumerate(responses.keys)
    ]


def _unit(metric: str, test: str) -> str:
    unit = "% of base" if PROBE[metric].has_base else PROBE[metric].unit
    return difference_unit(unit) if test == "method" else unit


def _adjusted(rows: list[LayerRow]) -> list[LayerRow]:
    """Control the false discovery rate within each family; a test that is not defined is not in it."""
    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, row in enumerate(rows):
        if not np.isnan(row.p):
            families.setdefault((row.test, row.metric, row.head is None), []).append(i)
    adjusted = list(rows)
    for members in families.values():
        p = [rows[i].p for i in members]
        for i, a, b in zip(members, benjamini_hochberg(p), benjamini_yekutieli(p), strict=True):
            adjusted[i] = replace(rows[i], p_bh=float(a), p_by=float(b), family=len(members))
    return adjusted


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield tests of blocks and heads, one answer per data set, of the probes that were measured."""
    measured = set(study.layers["metric"].unique().to_list())
    metrics = [name for name in PAGE_PROBES if name in measured] or list(PAGE_PROBES[:1])

    def ask(runs: pl.DataFrame) -> LayersResult:
        return layers(runs, study.layers, study.heads, metrics=metrics, conf_level=study.conf_level)

    for name in study.runs["dataset"].drop_nulls().unique().sort().to_list():
        yield f"tests of blocks and heads on {name}", partial(ask, study.runs.filter(pl.col("dataset") == name))
