"""The performance profile: which share of a method's runs keeps more than t % of the base's zero-shot accuracy.

A mean hides whether all runs keep most or half of them keep everything; the profile shows every threshold at once
(Dolan and More 2002; over seeds: Agarwal et al. 2021). A description: no test rests on it.
"""

from collections.abc import Sequence
from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import Figure, LegendEntry, Table
from heatdrift.report.charts import Frame, layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.figures import method_legend
from heatdrift.report.study_data import RETENTION, StudyData
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR

NAME: Final = "fig-profile-rows"
THRESHOLDS: Final = (50, 80, 90, 95, 99)  # of the table, % of base
_TOP: Final = 101  # a profile is drawn beyond the point where everything is kept


def shares_above(runs: pl.DataFrame, thresholds: Sequence[int]) -> pl.DataFrame:
    """Return which share of the runs keeps more than each threshold, by place and method.

    Parameters
    ----------
    runs : place, method, lr, seed, retention_pct; runs without retention are left out, and so are learning rates
        that not every method of the place was run at: a method is not better for having been run at low rates only.
    thresholds : % of the base's zero-shot accuracy.

    Returns
    -------
    place, method, t, n (runs), n_seeds (those with every learning rate of their place), share in [0, 1], and low and
    high, the smallest and largest share of such a seed (NULL where fewer than two are complete).
    """
    columns = ["place", "method", "lr", "seed", RETENTION]
    kept = runs.select(columns).filter(pl.col(RETENTION).is_not_null())
    methods = kept.group_by("place").agg(n_methods=pl.col("method").n_unique())
    shared = kept.group_by("place", "lr").agg(n_here=pl.col("method").n_unique()).join(methods, on="place")
    shared = shared.filter(pl.col("n_here") == pl.col("n_methods")).select("place", "lr")
    kept = kept.join(shared, on=["place", "lr"], how="semi")
    n_lrs = shared.group_by("place").agg(n_lrs=pl.col("lr").n_unique())
    grid = pl.DataFrame({"t": list(thresholds)}, schema={"t": pl.Float64})
    above = kept.join(grid, how="cross").with_columns(above=(pl.col(RETENTION) > pl.col("t")).cast(pl.Float64))
    key = ["place", "method", "t"]
    whole = above.group_by(key).agg(n=pl.len(), share=pl.col("above").mean())
    by_seed = above.group_by(*key, "seed").agg(lrs=pl.col("lr").n_unique(), share=pl.col("above").mean())
    by_seed = by_seed.join(n_lrs, on="place").filter(pl.col("seed").is_not_null() & (pl.col("lrs") == pl.col("n_lrs")))
    band = by_seed.group_by(key).agg(n_seeds=pl.len(), low=pl.col("share").min(), high=pl.col("share").max())
    several = pl.col("n_seeds") > 1
    return (
        whole.join(band, on=key, how="left")
        .with_columns(n_seeds=pl.col("n_seeds").fill_null(0))
        .with_columns(low=pl.when(several).then("low"), high=pl.when(several).then("high"))
        .sort(key)
    )


def profile_figure(data: StudyData) -> Figure | None:
    """Return the profiles of all methods, a panel per place; None where no learning rate was run with every method."""
    runs = data.runs.filter(pl.col("method").is_in([s.name for s in data.frame.styles]))
    if RETENTION not in runs.columns:
        return None
    best = runs[RETENTION].max()
    last = max(_TOP, int(float(best)) + 1) if isinstance(best, (int, float)) else _TOP
    rows = shares_above(runs.filter(pl.col("place").is_in(list(data.drawn))), range(min(last, 2 * _TOP) + 1))
    if rows.is_empty():
        return None
    titles = [wording.method_title(m) for m in rows["method"].to_list()]
    data.datasets[NAME] = _turns(rows).with_columns(pl.selectors.float().round(4)).join(
        rows.select("method", method_title=pl.Series(titles)).unique(), on="method", maintain_order="left"
    )  # fmt: skip
    places = rows["place"].unique(maintain_order=True).to_list()
    panels = tuple(
        draw_panel(
            f"fig-profile-{i}", place if len(places) > 1 else "", profile_chart(data.frame, place=place), data.datasets
        )
        for i, place in enumerate(places, start=1)
    )
    table = _table(shares_above(runs, THRESHOLDS))
    return Figure(
        figure_id="fig-profile",
        title="How many runs keep more than a threshold",
        caption="Share of a method's runs whose retention is above the threshold, over the learning rates that every "
        "method was run at. Bands: from the worst to the best seed, among those with all of these rates. The higher "
        "line keeps more; where lines cross, it depends on what counts as enough.",
        alternative="Share of runs with a retention above each threshold, falling lines from all runs to none, one "
        f"line per method ({wording.listed([s.title for s in data.frame.styles])}). "
        "The values are in the table below.",
        panels=panels,
        legend=(
            *method_legend(data),
            LegendEntry(label="all of the base's accuracy", colour="var(--base)", look="dashed"),
        ),
        table=table,
        columns=2 if len(places) in (1, 2, 4) else 3,
    )


def profile_chart(frame: Frame, *, place: str) -> alt.LayerChart:
    """Draw the share of runs above a threshold as a step per method, with the band of its seeds.

    Reads `fig-profile-rows` (place, method, method_title, t, n, n_seeds, share, low, high).
    """
    rows = rows_of(NAME, place=place)
    axis = alt.Axis(title="threshold t: zero-shot retention (% of base)", grid=False)
    x = alt.X("t:Q", axis=axis, scale=alt.Scale(nice=False, zero=True))
    y_axis, y_scale = top_title(["share of runs that keep more than t"], format=".0%"), alt.Scale(domain=[0, 1])
    tip = [
        alt.Tooltip("method_title:N", title="method"),
        alt.Tooltip("t:Q", title="more than (% of base)"),
        alt.Tooltip("share:Q", title="share of runs", format=".0%"),
        alt.Tooltip("low:Q", title="worst seed", format=".0%"),
        alt.Tooltip("high:Q", title="best seed", format=".0%"),
        alt.Tooltip("n:Q", title="n (runs)"),
        alt.Tooltip("n_seeds:Q", title="n (complete seeds)"),
    ]
    band = rows.transform_filter("isValid(datum.low)").mark_area(interpolate="step-after", opacity=0.16)
    band = band.encode(x=x, y=alt.Y("low:Q", axis=y_axis, scale=y_scale), y2="high:Q", color=frame.colour)
    share = alt.Y("share:Q", axis=y_axis, scale=y_scale)
    line = rows.mark_line(interpolate="step-after", strokeWidth=2).encode(x=x, y=share, color=frame.colour)
    marks = rows.transform_filter("datum.named").mark_point(size=46, opacity=1)
    marks = marks.encode(x=x, y=share, color=frame.colour, shape=frame.shape, tooltip=tip)
    whole = alt.Chart(alt.sequence(1)).mark_rule(strokeDash=[2, 3], strokeWidth=1.2, color=COLOUR["base"])
    return layered(whole.encode(x=alt.XDatum(100.0, type="quantitative")), band, line, marks)


def _turns(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows where a profile changes, and its ends: the same steps in few rows; `named` ones carry a mark."""
    group = ["place", "method"]
    values = ("share", "low", "high")
    changed = pl.any_horizontal(*(pl.col(v).ne_missing(pl.col(v).shift(1).over(group)) for v in values))
    last = pl.col("t") == pl.col("t").max().over(group)
    return rows.filter(changed | last).with_columns(
        named=pl.col("share").ne_missing(pl.col("share").shift(1).over(group))
    )


def _table(rows: pl.DataFrame) -> Table:
    shown = [
        (r["place"], wording.method_title(r["method"]), f"{r['t']:g}", _percent(r["share"]),
         wording.NOT_MEASURED if r["low"] is None else f"{_percent(r['low'])} to {_percent(r['high'])}",
         str(r["n"]), str(r["n_seeds"]))
        for r in rows.iter_rows(named=True)
    ]  # fmt: skip
    heads = ("data set", "method", "more than (% of base)", "share of runs", "worst to best seed", "n (runs)",
             "n (complete seeds)")  # fmt: skip
    return text_table("Share of runs that keep more than a threshold", heads, shown, text_columns=2)


def _percent(share: float) -> str:
    """Return a share as `83 %`, as the axis has it."""
    return f"{wording.number(100 * share, 2 if share < 1 else 3)} %"
