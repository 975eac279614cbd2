"""The responses of ``stats layers``: one per block, head and probe, over the runs at their selected epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.metrics import PROBES
from heatdrift.wording import counted

Floats = npt.NDArray[np.float64]

LAYER_METRICS: Final = tuple(p.name for p in PROBES if p.per_layer)


@dataclass(frozen=True, slots=True)
class Responses:
    """``values`` (R, n) of finite numbers; ``keys`` (R) metric, layer, head (None = the block's mean over heads)."""

    values: Floats
    keys: tuple[tuple[str, int, int | None], ...]


def probe_of(name: str) -> str:
    """Probe of `name`, which may be the drift of one (delta_entropy_pct -> entropy)."""
    probe = name.removeprefix("delta_").removesuffix("_pct") if name.startswith("delta_") else name
    if probe not in LAYER_METRICS:
        raise UnknownNameError("metric", name, LAYER_METRICS, where="the blocks")
    return probe


def block_responses(
    runs: pl.DataFrame, blocks: pl.DataFrame, heads: pl.DataFrame | None, metrics: Sequence[str]
) -> tuple[Responses, list[str]]:
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
    return Responses(values=values[complete], keys=kept), left_out


def refuse_unmeasured(asked: Sequence[str], responses: Responses) -> None:
    """Refuse a probe that was asked for and has no response.

    Raises
    ------
    StatsError
    """
    found = {metric for metric, _, _ in responses.keys}
    for name in asked:
        if name not in found:
            raise StatsError(
                f"{name} was not measured in every block of every run",
                hint=f"measured: {', '.join(sorted(found))}",
            )
