"""Sections that compare methods over pairs and over learning rates: paired differences, and trends of a group."""

import polars as pl

from heatdrift import wording
from heatdrift.questions.dose.result import DoseResult
from heatdrift.questions.paired.result import PairedResult
from heatdrift.report.blocks import Block, Section, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_notes import in_words, missing_notes, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

ALL = "all data sets"
PAIRED = "heatdrift stats paired --format json"


def paired_section(inp: ReportInput, data: StudyData) -> Section:
    """Return differences of two methods over identical data set, learning rate and seed, at the seed level and as published."""  # noqa: E501
    result = inp.paired
    blocks: list[Block] = []
    lead = ""
    if result is not None:
        a, b = wording.method_title(result.method_a), wording.method_title(result.method_b)
        lead = (
            f"How {a} and {b} differ when data set, learning rate and seed are the same, averaged over learning rates."
        )
        blocks = [*_paired_figure(result, data), *in_words(result.findings, "paired"), *result_notes(result.left_out)]
    blocks += missing_notes(inp, "paired", "No paired comparison of two methods was computed for this study.", blocks)
    return Section(section_id="paired", title="Paired comparison", lead=lead, blocks=tuple(blocks))


def _paired_figure(result: PairedResult, data: StudyData) -> list[Block]:
    pair = f"{wording.method_title(result.method_a)} {wording.MINUS} {wording.method_title(result.method_b)}"
    level = level_words(result.conf_level)
    only = result.datasets[0] if len(result.datasets) == 1 else ALL
    rows = pl.DataFrame(
        [
            {
                "panel": data.metric_title(r.metric), "row": r.dataset or only, "kind": "seed level",
                "estimate": r.seed_difference, "ci_low": r.ci_low, "ci_high": r.ci_high, "n": r.n,
                "seeds": r.n_seeds, "p_holm": r.seed_p_holm,
            }
            for r in result.rows
        ],
        infer_schema_length=None,
    )  # fmt: skip
    units = {data.metric_title(r.metric): r.unit for r in result.rows}
    forest = Forest(
        rows=rows,
        axes={panel: (pair, f"({unit}), seed-level {level}") for panel, unit in units.items()},
        kinds=("seed level",),
        n_means="pairs",
        extras={"seeds": "seeds", "p_holm": "p (Holm)"},
    )
    table = _paired_table(result, data, pair, only)
    figure = forest_figure(
        forest, data, "fig-paired",
        title=f"{pair} at identical data set, learning rate and seed",
        caption="Every learning rate has the same weight; the interval is that of the mean over seeds.",
        alternative=f"Differences {pair} with intervals, one panel per metric, one row per data set.",
        table=table,
    )  # fmt: skip
    published = _published_table(result, data, pair, only)
    return [figure or table, published]


def _paired_table(result: PairedResult, data: StudyData, pair: str, only: str) -> Table:
    rows = [
        (data.metric_title(r.metric), r.dataset or only, wording.signed(r.seed_difference), r.unit,
         wording.interval(r.ci_low, r.ci_high), wording.number(r.seed_t), wording.degrees(r.seed_df),
         wording.p_value(r.seed_p), wording.p_value(r.seed_p_holm), str(r.n_seeds), str(r.n),
         "yes" if r.same_sign else "no")
        for r in result.rows
    ]  # fmt: skip
    heads = ("metric", "data set", pair, "unit", level_words(result.conf_level), "t", "df", "p",
             wording.holm_head(r.seed_p for r in result.rows), "n (seeds)", "n (pairs)",
             "one sign everywhere")  # fmt: skip
    return text_table(
        "Seed-level test of the paired differences: the headline",
        heads,
        rows,
        text_columns=2,
        command=PAIRED,
        p=[r.seed_p_holm for r in result.rows],
    )


def _published_table(result: PairedResult, data: StudyData, pair: str, only: str) -> Table:
    rows = [
        (data.metric_title(r.metric), r.dataset or only, str(r.n), wording.number(r.mean_a), wording.number(r.mean_b),
         wording.signed(r.difference), wording.number(r.dz), wording.number(r.t), wording.p_value(r.t_p),
         wording.p_value(r.t_p_holm), wording.p_value(r.wilcoxon_p))
        for r in result.rows
    ]  # fmt: skip
    heads = ("metric", "data set", "n (pairs)", *map(wording.method_title, (result.method_a, result.method_b)), pair,
             "dz", "t", "p", wording.holm_head(r.t_p for r in result.rows), "p (Wilcoxon)")  # fmt: skip
    caption = (
        "The same over pairs, as such studies publish it: every pair counts as independent, although the pairs of one "
        "seed share it, so these p-values are too small where seeds react differently"
    )
    return text_table(caption, heads, rows, text_columns=2, command=PAIRED, p=[r.seed_p_holm for r in result.rows])


def dose_blocks(inp: ReportInput, data: StudyData) -> list[Block]:
    """Return the trends over learning rates: slopes with intervals, their table and their sentences."""
    result = inp.dose
    if result is None:
        return missing_notes(inp, "dose", "No trend over learning rates was computed for this study.", [])
    return [*_dose_figure(result, data), *in_words(result.findings, "dose"), *result_notes(result.left_out)]


def _dose_figure(result: DoseResult, data: StudyData) -> list[Block]:
    level = level_words(result.conf_level)
    several = len(result.datasets) > 1
    rows = pl.DataFrame(
        [
            {
                "panel": data.metric_title(r.metric),
                "row": f"{r.dataset} · {wording.method_title(r.method)}" if several else wording.method_title(r.method),
                "kind": "slope", "estimate": r.slope, "ci_low": r.ci_low, "ci_high": r.ci_high, "n": r.n,
                "rho": r.rho, "p_holm": r.p_exact_holm,
            }
            for r in result.rows
        ],
        infer_schema_length=None,
    )  # fmt: skip
    units = {data.metric_title(r.metric): r.unit for r in result.rows}
    forest = Forest(
        rows=rows,
        axes={panel: ("change per tenfold learning rate", f"({unit}), {level}") for panel, unit in units.items()},
        kinds=("slope",),
        n_means="runs",
        extras={"rho": "Spearman ρ", "p_holm": "exact p (Holm)"},
        zero="no trend",
    )
    table = text_table(
        "Trend over learning rates within each group."
        + "".join(f" p {how}." for how in dict.fromkeys(row.p_method for row in result.rows)),
        ("metric", "group", "n (runs)", "Spearman ρ", "exact p",
         wording.holm_head(r.p_exact for r in result.rows), "smallest possible p",
         "change per tenfold", "unit", level, "monotone"),
        [
            (data.metric_title(r.metric), f"{r.dataset or result.datasets[0]} · {wording.method_title(r.method)}",
             str(r.n), wording.number(r.rho), wording.p_value(r.p_exact), wording.p_value(r.p_exact_holm),
             wording.p_value(r.p_smallest), wording.signed(r.slope), r.unit, wording.interval(r.ci_low, r.ci_high),
             "yes" if r.monotone else "no")
            for r in result.rows
        ],
        text_columns=2, command="heatdrift stats dose --format json", p=[r.p_exact_holm for r in result.rows],
    )  # fmt: skip
    figure = forest_figure(
        forest, data, "fig-dose",
        title="Trend of each metric over learning rates",
        caption="Least squares on log₁₀ learning rate within each group (data set and method), seeds as fixed effects. "
        "A trend whose means are not monotone is a curve: look at it above before calling it a trend.",
        alternative="Change of each metric per tenfold learning rate with intervals, one panel per metric, one row per "
        "group.",
        table=table, columns=2,
    )  # fmt: skip
    return [figure or table]
