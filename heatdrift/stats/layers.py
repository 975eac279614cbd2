"""stats layers: where in the network two methods differ, and where attention drifted at all.

Every block, head and probe is a response on one shared design, so the whole family costs two matrix products
(``clustered.py``). Hundreds of tests are only worth reading with the false discovery rate controlled:
Benjamini-Hochberg (valid under independence or positive dependence) and Benjamini-Yekutieli (under any dependence).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.metrics import PROBE, PROBES
from heatdrift.results import LayerRow, LayersResult
from heatdrift.stats.choice import ALPHA, PAIR, check_level, check_pair, codes, shown_dataset
from heatdrift.stats.clustered import SeedContrast, cell_indicators, seed_contrast
from heatdrift.stats.frame import FACTORS, largest_block, select_runs, study_name
from heatdrift.stats.layer_findings import layer_findings
from heatdrift.stats.text import counted, difference_unit

Floats = npt.NDArray[np.float64]

LAYER_METRICS: Final = tuple(p.name for p in PROBES if p.per_layer)
_METHOD: Final = (
    "one response per block, head and probe, taken at the selected epoch: drift in % of base where the probe has a "
    "base "
    "value, else the value. Cell means, seed-level t tests (CR2, Satterthwaite df; balanced: df = S - 1). Test "
    "'method': {a} - {b}, equal weight to every lr and data set; 'drift': mean of a group against 0. p_bh, p_by: "
    "Benjamini-Hochberg and -Yekutieli over all rows of the same test and metric, blocks and heads apart"
)


@dataclass(frozen=True, slots=True)
class _Responses:
    """``values`` (R, n) of finite numbers; ``keys`` (R) metric, layer, head (None = the block's mean over heads)."""

    values: Floats
    keys: tuple[tuple[str, int, int | None], ...]


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
    """
    check_level(conf_level)
    asked = tuple(dict.fromkeys(_probe(name) for name in metrics or LAYER_METRICS))
    selection = largest_block(select_runs(runs, []))
    frame = selection.frame
    if frame["seed"].n_unique() < 2:
        raise StatsError(
            "all usable runs have one seed: without a second there is no error term", hint="train more seeds"
        )
    measured = frame.join(
        runs.filter(pl.col("status") == "done").select(
            *FACTORS[:2], pl.col("lr").cast(pl.Float64), "seed", "cell_id", "selected_epoch"
        ),
        on=FACTORS,
        how="left",
        maintain_order="left",
    ).with_row_index("run")
    responses, left_out = _responses(measured, blocks, heads, asked)
    if metrics:
        _refuse_unmeasured(asked, responses)
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
    with_base = _Responses(
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
        findings=layer_findings(rows, method_a, method_b, datasets, frame["lr"].n_unique(), ALPHA),
        left_out=(*selection.left_out, *left_out),
    )


def _probe(name: str) -> str:
    """Probe of `name`, which may be the drift of one (delta_entropy_pct -> entropy)."""
    probe = name.removeprefix("delta_").removesuffix("_pct") if name.startswith("delta_") else name
    if probe not in LAYER_METRICS:
        raise UnknownNameError("metric", name, LAYER_METRICS, where="the blocks")
    return probe


def _responses(
    runs: pl.DataFrame, blocks: pl.DataFrame, heads: pl.DataFrame | None, metrics: Sequence[str]
) -> tuple[_Responses, list[str]]:
    """Pivot the long views to (responses, runs); a response without a finite value in every run is left out."""
    parts = [blocks.with_columns(pl.lit(None, pl.Int32).alias("head"))]
    if heads is not None and heads.height:
        parts.append(heads)
    has_base = [p.name for p in PROBES if p.has_base]
    value = pl.when(pl.col("metric").is_in(has_base)).then("delta_pct").otherwise("value").alias("response")
    order = {name: i for i, name in enumerate(LAYER_METRICS)}
    columns = ("cell_id", "epoch", "metric", "layer", "head")
    long = pl.concat([part.select(*columns, value) for part in parts], how="vertical_relaxed")
    long = (
        long.filter(pl.col("metric").is_in(list(metrics)))
        .join(
            runs.select("run", "cell_id", "selected_epoch"),
            left_on=("cell_id", "epoch"),
            right_on=("cell_id", "selected_epoch"),
            how="inner",
        )
        .with_columns(pl.col("metric").replace_strict(order, return_dtype=pl.Int64).alias("place"))
        .with_columns(pl.struct("place", "head", "layer").rank("dense").alias("key") - 1)
    )
    keys = long.select("key", "metric", "layer", "head").unique("key").sort("key")
    values = np.full((keys.height, runs.height), np.nan)
    values[long["key"].to_numpy(), long["run"].to_numpy()] = long["response"].cast(pl.Float64).to_numpy()
    complete = np.isfinite(values).all(axis=1)
    names = [(str(m), int(layer), None if head is None else int(head)) for _, m, layer, head in keys.iter_rows()]
    left_out = []
    for metric in dict.fromkeys(name[0] for name in names):
        n = sum(not c for name, c in zip(names, complete, strict=True) if name[0] == metric)
        if n:
            left_out.append(f"{counted(n, 'response')} of {metric} without a finite value in every run")
    absent = [m for m in metrics if m not in {name[0] for name in names}]
    if absent:
        left_out.append(f"not measured per block: {', '.join(absent)}")
    if not complete.any():
        raise StatsError(
            f"no block has a value of {', '.join(metrics)} in all {counted(runs.height, 'run')}"
            + (f" ({'; '.join(left_out)})" if left_out else ""),
            hint="choose runs that were all measured (--dataset, --method, --lr, --seed)",
        )
    kept = tuple(name for name, c in zip(names, complete, strict=True) if c)
    return _Responses(values=values[complete], keys=kept), left_out


def _refuse_unmeasured(asked: Sequence[str], responses: _Responses) -> None:
    found = {metric for metric, _, _ in responses.keys}
    for name in asked:
        if name not in found:
            raise StatsError(
                f"{name} was not measured in every block of every run",
                hint=f"measured: {', '.join(sorted(found))}",
            )


def _method_contrast(frame: pl.DataFrame, method_a: str, method_b: str) -> SeedContrast:
    """Weights of a - b, with equal weight to every (data set, lr)."""
    cell = codes(frame, "dataset", "method", "lr")
    first = np.unique(cell, return_index=True)[1]
    method = frame["method"].to_numpy()[first]
    row = (method == method_a) / np.sum(method == method_a) - (method == method_b) / np.sum(method == method_b)
    return seed_contrast(cell_indicators(cell), codes(frame, "seed"), row, within=True)


def _mean_contrast(group: pl.DataFrame) -> SeedContrast:
    """Mean of a group with equal weight to every learning rate."""
    x = cell_indicators(codes(group, "lr"))
    return seed_contrast(x, codes(group, "seed"), np.full(x.shape[1], 1.0 / x.shape[1]), within=False)


def _rows(
    test: str,
    dataset: str | None,
    method: str | None,
    responses: _Responses,
    contrast: SeedContrast,
    level: float,
    values: Floats,
) -> list[LayerRow]:
    found = contrast.test(values)
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
            n_seeds=found.n_seeds,
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
    from scipy import stats  # 0.4 s to import: only this command pays

    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, row in enumerate(rows):
        if not np.isnan(row.p):
            families.setdefault((row.test, row.metric, row.head is None), []).append(i)
    adjusted = list(rows)
    for members in families.values():
        p = np.array([rows[i].p for i in members])
        bh, by = (stats.false_discovery_control(p, method=name) for name in ("bh", "by"))
        for i, a, b in zip(members, bh, by, strict=True):
            adjusted[i] = replace(rows[i], p_bh=float(a), p_by=float(b), family=len(members))
    return adjusted
