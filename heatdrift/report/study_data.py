"""The data sets that all charts of a page share, made once from the input, and what is drawn of them."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from heatdrift.metrics import RUN_COLUMN
from heatdrift.report import wording
from heatdrift.report.charts import Frame
from heatdrift.report.inputs import ReportInput
from heatdrift.report.summaries import CELL_KEY, epoch_means, layer_means, metric_means, side_by_side
from heatdrift.report.theme import method_styles, method_title

DRIFT: Final = ("delta_entropy_pct", "cka", "weight_drift")
PERFORMANCE: Final = ("test_acc_pct", "retention_pct")
TRAJECTORIES: Final = ("val_acc_pct", "delta_entropy_pct", "track_retention_pct")
BASE: Final = {
    "delta_entropy_pct": 0.0,
    "cka": 1.0,
    "weight_drift": 0.0,
    "retention_pct": 100.0,
    "track_retention_pct": 100.0,
}
EPOCH_TITLES: Final = {"track_retention_pct": "tracked retention (% of base)"}
HEATMAP: Final = "entropy"
MAX_POINTS: Final = 1500  # single runs drawn; above, cells only: the file stays small and the picture readable


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyData:
    """What the figures draw.

    Attributes
    ----------
    runs : finished runs with lr > 0 (an lr of 0, the negative control, has no place on a logarithmic axis).
    n_zero_lr : finished runs left out for that reason.
    places : panels: data sets, with the backbone where there are several.
    frame : methods, learning rates and interval that all charts share.
    datasets : name -> rows, the data sets that the specs name, embedded once. The figures of results add theirs.
    single_runs : whether single runs are drawn, or cells only.
    """

    runs: pl.DataFrame
    n_zero_lr: int
    places: tuple[str, ...]
    frame: Frame
    datasets: dict[str, pl.DataFrame]
    single_runs: bool


def axis_title(metric: str) -> str:
    """Return the words and the unit of a run column or an epoch column, as written at an axis."""
    if metric in RUN_COLUMN:
        column = RUN_COLUMN[metric]
        return f"{column.title} ({column.unit})"
    return EPOCH_TITLES.get(metric, metric)


def has_values(frame: pl.DataFrame, metric: str) -> bool:
    """Whether `metric` was measured at all."""
    return metric in frame.columns and frame[metric].count() > 0


def prepare(inp: ReportInput) -> StudyData:
    """Make the shared data sets; all of them are empty, with their columns, where no run has finished."""
    done = inp.done
    runs = done.filter(pl.col("lr") > 0)
    lrs = tuple(sorted(runs["lr"].unique().to_list()))
    styles = method_styles(done["method"].drop_nulls().to_list())
    names = [s.name for s in styles]
    frame = Frame(styles=styles, lrs=lrs or (1.0,), interval=f"{wording.percent(inp.conf_level)} t-interval")

    means = metric_means(runs, (*DRIFT, *PERFORMANCE), conf_level=inp.conf_level)
    trajectories = epoch_means(runs, inp.epochs, TRAJECTORIES, conf_level=inp.conf_level)
    layers = layer_means(runs, inp.layers, HEATMAP)
    single = runs.height <= MAX_POINTS
    metrics = sorted({*DRIFT, *PERFORMANCE, *(m for c in inp.correlations for m in (c.x, c.y) if m in runs.columns)})
    points = run_points(runs, metrics) if single else cell_points(runs, metrics)
    return StudyData(
        runs=runs,
        n_zero_lr=done.height - runs.height,
        places=tuple(sorted(runs["place"].unique().to_list())),
        frame=frame,
        datasets={
            "runs": _titled(side_by_side(points, names, frame.lrs)),
            "means": _titled(side_by_side(means, names, frame.lrs)),
            "layers": _titled(layers).with_columns(lr_label=_lr_labels(layers)),
            "trajectories": _titled(trajectories),
        },
        single_runs=single,
    )


def run_points(runs: pl.DataFrame, metrics: list[str]) -> pl.DataFrame:
    """One point per run."""
    seed = pl.col("seed").cast(pl.String).fill_null("unknown")
    return runs.select(*CELL_KEY, *metrics, seed_label=seed, n=pl.lit(1))


def cell_points(runs: pl.DataFrame, metrics: list[str]) -> pl.DataFrame:
    """One point per cell: the mean over its seeds."""
    cells = (
        runs.group_by(CELL_KEY, maintain_order=True)
        .agg(*(pl.col(m).mean() for m in metrics), n=pl.len())
        .sort(CELL_KEY)
    )
    return cells.with_columns(seed_label=pl.format("mean of {}", "n"))


def _titled(frame: pl.DataFrame) -> pl.DataFrame:
    titles = [method_title(m) for m in frame["method"].to_list()]
    return frame.with_columns(pl.Series("method_title", titles, dtype=pl.String))


def _lr_labels(frame: pl.DataFrame) -> pl.Series:
    return pl.Series("lr_label", [wording.learning_rate(lr) for lr in frame["lr"].to_list()], dtype=pl.String)
