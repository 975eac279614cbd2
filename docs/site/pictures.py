"""The picture of each question, drawn from the study that comes with the clone: question -> SVG."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import altair as alt
import polars as pl

import heatdrift
from heatdrift.api.shipped import shipped_store

# The questions that mini's own page asks, and the figure of each that says most; the command draws them all at once.
ON_THE_PAGE: Final = {
    "best": "fig-best",
    "correlation": "fig-correlation-1",
    "dose": "fig-dose",
    "frontier": "fig-frontier",
    "images": "fig-images",
    "interaction": "fig-contrasts-1",
    "layers": "fig-layers",
    "paired": "fig-paired",
    "predictors": "fig-predictors",
    "retention": "fig-profile",
}


_WIDTH: Final = "double"


def draw_pictures() -> dict[str, bytes]:
    """Return question -> its picture; an error where one cannot be drawn, because its page would be without it."""
    runs = heatdrift.read_runs("mini")
    first, later = heatdrift.read_runs("mini", seed=[7, 11]), heatdrift.read_runs("mini", seed=[19, 42, 123])
    answers = {
        "compare": heatdrift.compare(first, later, names=("two seeds", "three seeds"), metrics=["retention_pct"]),
        "factors": heatdrift.factors(runs, metric="retention_pct"),
        "model": heatdrift.fit_model(runs, "retention_pct ~ dataset * method + (1 | seed)"),
    }
    with tempfile.TemporaryDirectory(prefix="heatdrift-site-") as name:
        folder = Path(name)
        command = ["report", "--study", "mini", "--store", str(shipped_store()), "--no-images", "--figures", "svg"]
        subprocess.run([sys.executable, "-m", "heatdrift", *command, "--out", "mini.html"], cwd=folder, check=True)
        found = {
            question: (folder / "mini_figures" / f"{figure}.svg").read_bytes()
            for question, figure in ON_THE_PAGE.items()
        }
        for question, answer in answers.items():
            found[question] = answer.write_chart(folder / f"{question}.svg", width=_WIDTH).read_bytes()
        power = heatdrift.power(runs, metric="retention_pct", seeds=15)
        _power_chart(power.to_frame()).save(folder / "power.svg")
        found["power"] = (folder / "power.svg").read_bytes()
    return found


def _power_chart(rows: pl.DataFrame) -> alt.LayerChart:
    """Return the smallest difference that each number of seeds finds, with its range; the answer itself is a table."""
    overall = rows.filter(pl.col("dataset").is_null(), pl.col("lr").is_null())
    x = alt.X("n_seeds:Q", title="seeds of each method", axis=alt.Axis(tickMinStep=1))
    y = alt.Y("ci_low:Q", title="detectable difference in retention (points)")
    chart = alt.Chart(overall.select("n_seeds", "detectable", "ci_low", "ci_high"))
    band = chart.mark_area(opacity=0.2).encode(x=x, y=y, y2="ci_high:Q")
    return (band + chart.mark_line(point=True).encode(x=x, y="detectable:Q")).properties(width=520, height=220)
