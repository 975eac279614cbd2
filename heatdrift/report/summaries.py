"""Frames behind the figures: means over seeds with their intervals, and positions on a logarithmic axis.

The interval of a cell is the t-interval of its mean over seeds, mean ± t(1 - alpha/2, n - 1) sd / sqrt(n); with one
seed there is a mean and no interval. n counts the values that were measured, not the seeds that were planned.
"""

import math
from collections.abc import Sequence

import polars as pl
from scipy import special

# group_by(maintain_order=True): otherwise polars adds up in the order of its threads, and the bytes of a page change.
CELL_KEY = ("place", "method", "lr")
_SAME = 1e-4  # of their size: values that differ by less are rounded apart, not measured apart


def t_intervals(values: pl.DataFrame, *, by: Sequence[str], conf_level: float) -> pl.DataFrame:
    """Mean of the column `value` within `by`, with its t-interval.

    Parameters
    ----------
    values : one row per measured value; NULL rows are left out.
    by : the columns that name a mean.
    conf_level : level of the interval, in (0, 1).

    Returns
    -------
    `by`, n, mean, sd, low, high, sorted by `by`; sd, low and high are NULL where n < 2.
    """
    means = (
        values.filter(pl.col("value").is_not_null())
        .group_by(by, maintain_order=True)
        .agg(n=pl.len().cast(pl.Int64), mean=pl.col("value").mean(), sd=pl.col("value").std())
        .sort(by)
    )
    t = [float(special.stdtrit(n - 1, 0.5 + conf_level / 2)) if n > 1 else None for n in means["n"]]
    half = pl.Series("t", t, dtype=pl.Float64) * means["sd"] / means["n"].cast(pl.Float64).sqrt()
    return means.with_columns(low=means["mean"] - half, high=means["mean"] + half)


def metric_means(runs: pl.DataFrame, metrics: Sequence[str], *, conf_level: float) -> pl.DataFrame:
    """Return place, method, lr, metric with n, mean, sd, low, high over the seeds of each cell, for all `metrics`."""
    long = runs.select(*CELL_KEY, *metrics).unpivot(
        metrics, index=list(CELL_KEY), variable_name="metric", value_name="value"
    )
    return t_intervals(long, by=(*CELL_KEY, "metric"), conf_level=conf_level)


def layer_means(runs: pl.DataFrame, layers: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Mean over seeds of the drift of `metric` per layer, at each run's selected epoch.

    Returns
    -------
    place, method, lr, layer, n, delta_pct; empty where no layer was measured.
    """
    at_selected = layers.filter(pl.col("metric") == metric).join(
        runs.select("study", "cell_id", *CELL_KEY, epoch="selected_epoch"),
        on=["study", "cell_id", "epoch"],
        how="inner",
    )
    return (
        at_selected.filter(pl.col("delta_pct").is_not_null())
        .group_by(*CELL_KEY, "layer", maintain_order=True)
        .agg(n=pl.len().cast(pl.Int64), delta_pct=pl.col("delta_pct").mean())
        .sort(*CELL_KEY, "layer")
    )


def epoch_means(runs: pl.DataFrame, epochs: pl.DataFrame, metrics: Sequence[str], *, conf_level: float) -> pl.DataFrame:
    """Return place, method, lr, epoch, metric with n, mean, sd, low, high over the seeds of each cell."""
    joined = epochs.join(runs.select("study", "cell_id", *CELL_KEY), on=["study", "cell_id"], how="inner")
    key = [*CELL_KEY, "epoch"]
    long = joined.select(*key, *metrics).unpivot(metrics, index=key, variable_name="metric", value_name="value")
    return t_intervals(long, by=(*key, "metric"), conf_level=conf_level)


def side_by_side(frame: pl.DataFrame, methods: Sequence[str], lrs: Sequence[float]) -> pl.DataFrame:
    """Add the places of marks on a logarithmic axis, so that methods, and seeds and means, do not cover each other.

    `lr_shown`, for means, is the learning rate times a small factor per method; `lr_beside`, for single seeds, lies a
    little to the right of it.
    """
    span = math.log10(max(lrs) / min(lrs)) if len(lrs) > 1 else 0.8
    shift = {m: 10 ** ((i - (len(methods) - 1) / 2) * 0.04 * span) for i, m in enumerate(methods)}
    factor = pl.Series([shift.get(m, 1.0) for m in frame["method"].to_list()], dtype=pl.Float64)
    shown = frame["lr"] * factor
    return frame.with_columns(lr_shown=shown, lr_beside=shown * 10 ** (0.014 * span))


def padded_domain(
    values: pl.DataFrame, *, point: str, low: str, high: str, inside: Sequence[float], floor: float | None = None
) -> tuple[float, float, bool]:
    """Return lower and upper end of an axis and whether intervals leave it.

    All points and the levels `inside` (base line, chance) lie on it. An interval may widen the axis by as much as the
    points span, no further: two seeds give intervals that would press everything else into a line. The axis does not go
    below `floor`, the smallest value that the quantity can have.
    """
    points = [v for v in values[point].to_list() if v is not None] + list(inside)
    bottom, top = min(points), max(points)
    span = (top - bottom) or abs(top) or 1.0
    lows = [v for v in values[low].to_list() if v is not None] or [bottom]
    highs = [v for v in values[high].to_list() if v is not None] or [top]
    cut = min(lows) < bottom - span or max(highs) > top + span
    bottom = max(min(bottom, *lows), bottom - span)
    top = min(max(top, *highs), top + span)
    margin = _margin(bottom, top)
    return _above(bottom - margin, floor), top + margin, cut


def padded_extent(values: pl.Series, *, floor: float | None = None) -> tuple[float, float]:
    """Return lower and upper end of an axis that holds all `values` (at least one is not NULL), not below `floor`."""
    numbers = values.drop_nulls().to_list()
    low, high = min(numbers), max(numbers)
    margin = _margin(low, high)
    return _above(low - margin, floor), high + margin


def _margin(low: float, high: float) -> float:
    """Return what an axis has beyond its ends: 5 % of the size of values that hardly differ, else ticks are noise."""
    size = max(abs(low), abs(high)) or 1.0
    return 0.04 * (high - low) if high - low > _SAME * size else 0.05 * size


def _above(low: float, floor: float | None) -> float:
    return low if floor is None else max(low, floor)


def line_ends(x: pl.Series, y: pl.Series) -> pl.DataFrame | None:
    """Return the ends (x, y) of the least-squares line of y on x over the range of x; None where x does not vary."""
    pair = pl.DataFrame({"x": x, "y": y}).drop_nulls()
    if pair.height < 3 or pair["x"].n_unique() < 2:
        return None
    slope, mean_x, mean_y = pair.select(
        slope=pl.cov("x", "y") / pl.var("x"), mean_x=pl.mean("x"), mean_y=pl.mean("y")
    ).row(0)
    ends = pair.select(low=pl.min("x"), high=pl.max("x")).row(0)
    return pl.DataFrame({"x": ends, "y": [mean_y + slope * (end - mean_x) for end in ends]})
