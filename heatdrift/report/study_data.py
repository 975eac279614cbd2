"""The data sets that all charts of a page share, made once from the input, and what is drawn of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.accuracy import (
    ACCURACIES,
    TEST,
    accuracy_metric,
    chance_accuracies,
    selected_on_test,
    shown_title,
)
from heatdrift.metrics import RUN_COLUMN
from heatdrift.questions.outcomes import Family
from heatdrift.report.charts import Frame
from heatdrift.report.inputs import ReportInput
from heatdrift.report.summaries import CELL_KEY, epoch_means, layer_means, metric_means, side_by_side
from heatdrift.report.tables import MAX_ROWS
from heatdrift.report.theme import method_styles

DRIFT: Final = ("delta_entropy_pct", "cka", "weight_drift")
RETENTION: Final = "retention_pct"
TRAJECTORIES: Final = ("val_acc_pct", "delta_entropy_pct", "track_retention_pct")
BASE: Final = {
    "delta_entropy_pct": 0.0,
    "cka": 1.0,
    "weight_drift": 0.0,
    "retention_pct": 100.0,
    "track_retention_pct": 100.0,
}
# What cannot be negative has an axis that does not go below 0.
FLOOR: Final = {
    name: 0.0 for name in ("weight_drift", *ACCURACIES, RETENTION, *TRAJECTORIES) if name != "delta_entropy_pct"
}
EPOCH_TITLES: Final = {"track_retention_pct": "tracked retention (% of base)"}
HEATMAP: Final = "entropy"
# What is drawn of a large grid: the rest is in tables and in the store, and the page says so.
MAX_PLACES: Final = 6
MAX_CELLS: Final = 50  # of all panels together; each is a mark in a dozen charts
MAX_METHODS: Final = 8
FULL_TABLE: Final = 400  # rows under a chart of a study with at most MAX_CELLS cells
MAX_LRS: Final = 10
MAX_COURSE_LRS: Final = 5
DIGITS: Final = 5  # significant, of the rows behind the charts; text and tables round further
MAX_POINTS: Final = 1500  # single runs drawn; above, cells only: the file stays small and the picture readable


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyData:
    """What the figures draw.

    Attributes
    ----------
    runs : finished runs with lr > 0 (an lr of 0, the negative control, has no place on a logarithmic axis).
    n_zero_lr : finished runs left out for that reason.
    places : all data sets, each with the backbone and own factors that keep its runs apart.
    drawn : those that have panels.
    not_drawn : what of the grid has no mark, in sentences.
    table_rows : rows of the tables under the charts: all of a usual study, the first of a large grid.
    frame : methods, learning rates and interval that all charts share.
    datasets : name -> rows, the data sets that the specs name, embedded once. The figures of results add theirs.
    tables : name -> rows of the tables under the charts, at full precision and with what is not drawn.
    single_runs : whether single runs are drawn, or cells only.
    chance : data set -> accuracy in % of guessing among its classes, where the records tell their number.
    retention_at_chance : metric of retention -> data set -> its value in % of a model that only guesses.
    on_test : whether the test split selected the epochs: the validation accuracy then says so.
    performance : accuracy and retention; the accuracy is the one that these runs have.
    family : all tests of the page, and what may be claimed of them.
    """

    runs: pl.DataFrame
    n_zero_lr: int
    places: tuple[str, ...]
    frame: Frame
    datasets: dict[str, pl.DataFrame]
    tables: dict[str, pl.DataFrame]
    single_runs: bool
    chance: Mapping[str, float] = field(default_factory=dict)
    retention_at_chance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    on_test: bool = False
    performance: tuple[str, ...] = (TEST, RETENTION)
    drawn: tuple[str, ...] = ()
    not_drawn: tuple[str, ...] = ()
    table_rows: int = MAX_ROWS
    family: Family = field(default_factory=Family)

    def points(self, metrics: Sequence[str]) -> pl.DataFrame:
        """Return the rows behind single marks: one per run, or per cell where there are too many runs to draw."""
        return _points(self.runs, sorted(metrics), self.frame, self.drawn, single=self.single_runs)

    def chance_level(self, metric: str, place: str) -> float | None:
        """Return what a model that only guesses has of `metric` at a place; None where that is not known."""
        levels = self.chance if metric in ACCURACIES else self.retention_at_chance.get(metric, {})
        return levels.get(place)

    def metric_title(self, metric: str) -> str:
        """Return the words for a metric, which say of an accuracy that the split that it is of selected the epoch."""
        return shown_title(metric, on_test=self.on_test)

    def axis_title(self, metric: str) -> str:
        """Return the words and the unit of a run column or an epoch column, as written at an axis."""
        if metric in RUN_COLUMN:
            return f"{self.metric_title(metric)} ({RUN_COLUMN[metric].unit})"
        return EPOCH_TITLES.get(metric, metric)


def retention_at_chance(runs: pl.DataFrame, base: str = "zero_shot_base_pct") -> dict[str, float]:
    """Return place -> retention in % of a model that only guesses, 100 x chance / `base`, where the classes are known.

    Where runs differ in their base, the smallest one counts: its level is the highest.
    """
    if not {base, "chance_pct"} <= set(runs.columns):
        return {}
    known = runs.select("place", level=100 * pl.col("chance_pct") / pl.col(base)).drop_nulls()
    levels = known.filter(pl.col("level").is_finite()).group_by("place").agg(pl.col("level").max()).sort("place")
    return dict(levels.iter_rows())


def _tracked_base(runs: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """Add the tracked zero-shot accuracy of the base, that of epoch 0, to the runs."""
    if not {"cell_id", "epoch", "track_zero_shot_pct"} <= set(epochs.columns):
        return runs
    base = epochs.filter(pl.col("epoch") == 0).select("cell_id", track_base_pct=pl.col("track_zero_shot_pct"))
    return runs.join(base, on="cell_id", how="left")


def has_values(frame: pl.DataFrame, metric: str) -> bool:
    """Whether `metric` was measured at all."""
    return metric in frame.columns and frame[metric].count() > 0


def prepare(inp: ReportInput) -> StudyData:
    """Make the shared data sets; all of them are empty, with their columns, where no run has finished."""
    done = inp.done
    runs = done.filter(pl.col("lr") > 0)
    places = tuple(sorted(runs["place"].unique().to_list()))
    all_lrs = sorted(runs["lr"].unique().to_list())
    all_styles = method_styles(done["method"].drop_nulls().to_list())
    lrs, styles = tuple(spread(all_lrs, MAX_LRS)), all_styles[:MAX_METHODS]
    affordable = MAX_CELLS // max(len(lrs) * len(styles), 1)
    drawn = places[: max(1, min(MAX_PLACES, affordable))]
    names = [s.name for s in styles]
    frame = Frame(styles=styles, lrs=lrs or (1.0,), interval=f"{wording.percent(inp.conf_level)} t-interval")

    performance = (accuracy_metric(inp.runs)[0], RETENTION)
    means = metric_means(runs, (*DRIFT, *performance), conf_level=inp.conf_level)
    trajectories = epoch_means(runs, inp.epochs, TRAJECTORIES, conf_level=inp.conf_level)
    layers = layer_means(runs, inp.layers, HEATMAP)
    course_lrs = spread(all_lrs, MAX_COURSE_LRS)
    not_drawn = [
        f"Drawn: {shown} of {total} {what}; tables and store have all."
        for shown, total, what in (
            (len(drawn), len(places), "data sets" if len(places) == runs["dataset"].n_unique() else "groups of runs"),
            (len(styles), len(all_styles), "methods"),
            (len(lrs), len(all_lrs), "learning rates"),
        )
        if shown < total
    ]

    single = runs.height <= MAX_POINTS
    return StudyData(
        runs=runs,
        n_zero_lr=done.height - runs.height,
        places=places,
        drawn=drawn,
        not_drawn=tuple(not_drawn),
        table_rows=FULL_TABLE if runs.select(CELL_KEY).n_unique() <= MAX_CELLS else MAX_ROWS,
        tables={"means": means, "layers": layers, "trajectories": trajectories},
        frame=frame,
        datasets={
            "runs": _points(runs, sorted({*DRIFT, *performance}), frame, drawn, single=single),
            "means": _titled(_kept(side_by_side(means.drop("sd"), names, frame.lrs), frame, drawn)),
            "layers": _with_lr_labels(_titled(_kept(layers, frame, drawn))),
            "trajectories": _titled(_kept(trajectories.drop("sd"), replace(frame, lrs=tuple(course_lrs)), drawn)),
        },
        single_runs=single,
        chance=chance_accuracies(runs, "place"),
        retention_at_chance={
            RETENTION: retention_at_chance(runs),
            "track_retention_pct": retention_at_chance(_tracked_base(runs, inp.epochs), "track_base_pct"),
        },
        on_test=selected_on_test(inp.runs),
        performance=performance,
        family=inp.family,
    )


def _kept(rows: pl.DataFrame, frame: Frame, drawn: Sequence[str]) -> pl.DataFrame:
    """Return the rows that are drawn, with the digits that a chart needs."""
    names = [style.name for style in frame.styles]
    inside = pl.col("place").is_in(list(drawn)) & pl.col("method").is_in(names) & pl.col("lr").is_in(list(frame.lrs))
    return rows.filter(inside).with_columns(pl.selectors.float().round_sig_figs(DIGITS))


def _points(
    runs: pl.DataFrame, metrics: list[str], frame: Frame, drawn: Sequence[str], *, single: bool
) -> pl.DataFrame:
    points = run_points(runs, metrics) if single else cell_points(runs, metrics)
    return _titled(_kept(side_by_side(points, [style.name for style in frame.styles], frame.lrs), frame, drawn))


def spread(values: Sequence[float], limit: int) -> list[float]:
    """Return at most `limit` of the sorted `values`, evenly spread, both ends among them."""
    if len(values) <= limit:
        return list(values)
    return [values[round(i * (len(values) - 1) / (limit - 1))] for i in range(limit)]


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
    titles = [wording.method_title(m) for m in frame["method"].to_list()]
    return frame.with_columns(pl.Series("method_title", titles, dtype=pl.String))


def _with_lr_labels(frame: pl.DataFrame) -> pl.DataFrame:
    labels = [wording.learning_rate(lr) for lr in frame["lr"].to_list()]
    return frame.with_columns(pl.Series("lr_label", labels, dtype=pl.String))
