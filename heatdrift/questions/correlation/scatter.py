"""The scatter of two metrics with a line per group and the pooled line, so named."""

from collections.abc import Sequence

import altair as alt

from heatdrift.report.charts import Frame, layered, rows_of, top_title
from heatdrift.report.theme import COLOUR


def correlation(
    frame: Frame,
    *,
    place: str,
    others: Sequence[str],
    x: str,
    y: str,
    titles: tuple[str, str],
    domains: tuple[tuple[float, float], tuple[float, float]],
    pooled: str,
    rising: bool,
    lines: str,
    points: str,
) -> alt.LayerChart:
    """Runs of one place over those of the `others` in grey, a line for each group, and the pooled line, so named.

    Reads `points` (place, method, lr, seed_label, n and the columns `x` and `y`) and `lines` (kind, place, method, end,
    x, y: two ends per line, kind is `pooled` or `group`). `pooled` is the label at the upper end of the pooled
    line, the right one if it is `rising`; `titles` and `domains` are of x and y.
    """
    x_scale, y_scale = (alt.Scale(domain=list(domain), nice=True, zero=False) for domain in domains)
    x_axis, y_axis = alt.Axis(title=titles[0]), top_title(titles[1:])
    x_enc, y_enc = alt.X(f"{x}:Q", axis=x_axis, scale=x_scale), alt.Y(f"{y}:Q", axis=y_axis, scale=y_scale)
    ghosts = alt.Chart(alt.NamedData(name=points)).transform_filter(
        alt.FieldOneOfPredicate(field="place", oneOf=list(others))
    )
    ghosts = ghosts.mark_point(size=20, color=COLOUR["ghost"], opacity=0.8).encode(x=x_enc, y=y_enc, shape=frame.shape)
    own = rows_of(points, place=place).mark_point(size=46, opacity=0.8)
    own = own.encode(
        x=x_enc,
        y=y_enc,
        color=frame.colour,
        shape=frame.shape,
        tooltip=[
            alt.Tooltip("method_title:N", title="method"),
            alt.Tooltip("lr:Q", title="learning rate", format="~e"),
            alt.Tooltip("seed_label:N", title="seed"),
            alt.Tooltip("n:Q", title="n (runs)"),
            alt.Tooltip(f"{x}:Q", title=titles[0], format=".4~g"),
            alt.Tooltip(f"{y}:Q", title=titles[1], format=".4~g"),
        ],
    )
    line_x, line_y = alt.X("x:Q", axis=x_axis, scale=x_scale), alt.Y("y:Q", axis=y_axis, scale=y_scale)
    groups = rows_of(lines, kind="group", place=place).mark_line(strokeWidth=1.8, clip=True)
    groups = groups.encode(x=line_x, y=line_y, color=frame.colour, detail="method:N")
    over = rows_of(lines, kind="pooled").encode(x=line_x, y=line_y)
    dashes = over.mark_line(strokeWidth=1.4, strokeDash=[6, 4], color=COLOUR["ink"], clip=True)
    label = over.transform_filter(alt.FieldEqualPredicate(field="end", equal=int(rising)))
    halo = label.mark_text(
        align="right" if rising else "left",
        dy=-9,
        fontStyle="italic",
        stroke=COLOUR["paper"],
        strokeWidth=4,
        color=COLOUR["paper"],
    ).encode(text=alt.value(pooled))
    label = label.mark_text(align="right" if rising else "left", dy=-9, fontStyle="italic", color=COLOUR["ink"]).encode(
        text=alt.value(pooled)
    )
    return layered(*([ghosts] if others else []), own, groups, dashes, halo, label, height=290)
