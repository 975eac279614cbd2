"""How probable it is that the first method keeps more than the second, at each learning rate.

Of the seeds that trained both methods on a data set at a learning rate, the share in which the first has the higher
retention, with Clopper and Pearson's exact interval: it asks for the sign only, so one run that collapsed weighs no
more than another. Each interval is for itself; the claims of the section are about means.
"""

from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import Figure, LegendEntry, Table
from heatdrift.report.charts import Frame, layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.forest import level_words
from heatdrift.report.study_data import DIGITS, RETENTION, StudyData
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR
from heatdrift.stats.effect_sizes import share_interval

NAME: Final = "fig-more-rows"


def share_by_lr(runs: pl.DataFrame, first: str, second: str, level: float) -> pl.DataFrame:
    """Return in which share of shared seeds `first` keeps more than `second`, by place and learning rate.

    Parameters
    ----------
    runs : place, method, lr, seed, retention_pct.
    level : of the exact interval, in (0, 1).

    Returns
    -------
    place, lr, n (seeds that differ; ties say nothing of the sign), ties, share, low, high in [0, 1]; a learning rate
    without a seed that both methods share has no row, one with ties alone no share.
    """
    known = runs.filter(pl.col(RETENTION).is_not_null() & pl.col("seed").is_not_null())
    one, other = (
        known.filter(pl.col("method") == m).group_by("place", "lr", "seed").agg(value=pl.col(RETENTION).mean())
        for m in (first, second)
    )
    pairs = one.join(other, on=["place", "lr", "seed"], suffix="_second")
    gain = pl.col("value") - pl.col("value_second")
    rows = pairs.group_by("place", "lr").agg(
        hits=(gain > 0).sum(), n=(gain != 0).sum(), ties=(gain == 0).sum(),
    ).sort("place", "lr")  # fmt: skip
    ends = [share_interval(hits, n, level) for hits, n in rows.select("hits", "n").iter_rows()]
    return rows.with_columns(
        pl.col("n").cast(pl.Int64),
        pl.col("ties").cast(pl.Int64),
        share=pl.when(pl.col("n") > 0).then(pl.col("hits") / pl.col("n")),
        low=pl.Series([low for low, _ in ends], dtype=pl.Float64).fill_nan(None),
        high=pl.Series([high for _, high in ends], dtype=pl.Float64).fill_nan(None),
    ).drop("hits")


def probability_figure(data: StudyData, first: str, second: str, level: float) -> Figure | None:
    """Return the probability per learning rate, a panel per place; None where no seed trained both methods."""
    if RETENTION not in data.runs.columns:
        return None
    every = share_by_lr(data.runs, first, second, level)
    inside = pl.col("place").is_in(list(data.drawn)) & pl.col("lr").is_in(list(data.frame.lrs))
    rows = every.filter(inside & pl.col("share").is_not_null())
    if rows.is_empty():
        return None
    data.datasets[NAME] = rows.with_columns(pl.selectors.float().round_sig_figs(DIGITS))
    places = rows["place"].unique(maintain_order=True).to_list()
    words = level_words(level)
    titles = [wording.method_title(name) for name in (first, second)]
    panels = tuple(
        draw_panel(
            f"fig-more-{i}", place if len(places) > 1 else "",
            probability_chart(data.frame, place=place, titles=(titles[0], titles[1]), interval=words), data.datasets,
        )
        for i, place in enumerate(places, start=1)
    )  # fmt: skip
    return Figure(
        figure_id="fig-more",
        title=f"How often {titles[0]} keeps more than {titles[1]}",
        caption="Share of the seeds that trained both methods in which the first has the higher zero-shot retention, "
        f"with the exact {words} (Clopper and Pearson) of each learning rate alone. Few seeds give wide intervals, "
        "even where all agree; ties are left out.",
        alternative=f"Share of seeds in which {titles[0]} keeps more than {titles[1]}, with its interval, against the "
        "learning rate; a dashed line at one half. The values are in the table below.",
        panels=panels,
        legend=(LegendEntry(label="neither more often", colour="var(--base)", look="dashed"),),
        table=_table(every, words, titles),
        columns=2 if len(places) in (1, 2, 4) else 3,
    )


def probability_chart(frame: Frame, *, place: str, titles: tuple[str, str], interval: str) -> alt.LayerChart:
    """Draw the share of seeds with its interval at each learning rate, against one half.

    Reads `fig-more-rows` (place, lr, n, ties, share, low, high).
    """
    rows = rows_of(NAME, place=place)
    axis = top_title([f"seeds in which {titles[0]} keeps more", interval], format=".0%")
    scale = alt.Scale(domain=[0, 1])
    tip = [
        alt.Tooltip("lr:Q", title="learning rate", format="~e"),
        alt.Tooltip("share:Q", title=f"{titles[0]} keeps more", format=".0%"),
        alt.Tooltip("low:Q", title="interval from", format=".0%"),
        alt.Tooltip("high:Q", title="interval to", format=".0%"),
        alt.Tooltip("n:Q", title="n (seeds)"),
        alt.Tooltip("ties:Q", title="ties left out"),
    ]
    half = alt.Chart(alt.sequence(1)).mark_rule(strokeDash=[2, 3], strokeWidth=1.2, color=COLOUR["base"])
    x = frame.lr_axis("lr")
    bars = rows.mark_rule(strokeWidth=1.8, color=COLOUR["ink"])
    bars = bars.encode(x=x, y=alt.Y("low:Q", axis=axis, scale=scale), y2="high:Q", tooltip=tip)
    dots = rows.mark_point(size=62, opacity=1, shape="circle", color=COLOUR["ink"])
    dots = dots.encode(x=x, y=alt.Y("share:Q", axis=axis, scale=scale), tooltip=tip)
    return layered(half.encode(y=alt.YDatum(0.5, type="quantitative", axis=axis, scale=scale)), bars, dots)


def _table(rows: pl.DataFrame, interval: str, titles: list[str]) -> Table:
    shown = [
        (r["place"], wording.learning_rate(r["lr"]),
         wording.NOT_MEASURED if r["share"] is None else _percent(r["share"]),
         wording.NOT_MEASURED if r["low"] is None else f"{_percent(r['low'])} to {_percent(r['high'])}",
         str(r["n"]), str(r["ties"]))
        for r in rows.iter_rows(named=True)
    ]  # fmt: skip
    heads = ("data set", "learning rate", f"{titles[0]} keeps more", interval, "n (seeds)", "ties left out")
    return text_table(f"Seeds in which {titles[0]} keeps more than {titles[1]}", heads, shown, text_columns=2)


def _percent(share: float) -> str:
    """Return a share as `83 %`, as the axis has it."""
    return f"{wording.number(100 * share, 2 if share < 1 else 3)} %"
