"""Published values next to ours: cell by cell where both studies asked the same, else what differs and why not.

What is comparable is read off facts that both sides state (`published_facts.py`), by one rule for every study: values
are subtracted only where `DECISIVE` facts agree. A published file says at which epoch each metric was measured, and
ours are taken at the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import Block, Note, Section, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.sections.published_facts import DECISIVE, Fact, facts, published_studies
from heatdrift.report.study_data import StudyData
from heatdrift.report.summaries import t_intervals
from heatdrift.report.tables import text_table

METRICS: Final = ("val_acc_pct", "delta_entropy_pct", "delta_erf95_pct", "delta_entropy_last_pct", "zero_shot_pct")
CELL: Final = ("dataset", "method", "lr")


def published_section(inp: ReportInput, data: StudyData) -> Section:
    """Return, for each published study, its conditions, ours and the values where they are comparable."""
    blocks: list[Block] = []
    for i, published in enumerate(published_studies(), start=1):
        if inp.done.is_empty():
            blocks.append(Note(text="No finished run to compare with published values.", tone="missing"))
            continue
        blocks += _blocks(inp, data, published, f"fig-published-{i}")
    lead = "What others published about the same question, and whether these runs may be compared with it."
    return Section(section_id="published", title="Published values", lead=lead, blocks=tuple(blocks))


def _blocks(inp: ReportInput, data: StudyData, published: Mapping[str, Any], figure_id: str) -> list[Block]:
    found = facts(inp, published)
    last = [metric for metric, epoch in published["measured_at"].items() if epoch == "last"]
    rows = compared(inp, published["cells"], at_last=last)
    differing = [fact.name for fact in found if fact.name in DECISIVE and not fact.same]
    comparable = not differing and not rows.is_empty()
    blocks: list[Block] = [Note(text=_verdict(found, rows, differing)), _fact_table(found, published)]
    titles = [data.metric_title(metric) for metric in last]
    at = f"Measured after the last epoch, there and in what is compared with it here: {wording.listed(titles)}."
    blocks.append(Note(text=" ".join((at, *published["notes"]))))
    if not comparable:
        return [*blocks, _their_table(published)]
    blocks += _difference_figure(rows, inp, data, figure_id)
    for key, title in (("method_means", "Means of each method over its learning rates"), ("last_layer", "Last block")):
        more = compared(inp, published.get(key, ()), at_last=last)
        if not more.is_empty():
            blocks.append(_table(more, inp, data, f"{title}: ours, published, difference"))
    return blocks


def _verdict(found: Sequence[Fact], rows: pl.DataFrame, differing: Sequence[str]) -> str:
    """Return what may be compared and what not, made from the facts."""
    n_cells = rows.select(CELL).unique().height if not rows.is_empty() else 0
    agree = wording.listed([fact.name for fact in found if fact.same])
    if differing:
        return (
            f"Not comparable value by value: {wording.listed(list(differing))} "
            f"{'differs or is' if len(differing) == 1 else 'differ or are'} not known here. The same in both: {agree}. "
            f"Cells of the same data set, method and learning rate: {n_cells}. Levels of accuracy, drift and "
            "retention must not be subtracted; whether methods and learning rates are ordered alike may be asked."
        )
    if not n_cells:
        return f"The same in both: {agree}; but no cell has the same data set, method and learning rate."
    other = [fact.name for fact in found if fact.same is False]
    but = f" Different: {wording.listed(other)}." if other else ""
    return f"Comparable cell by cell in {wording.counted(n_cells, 'cell')}. The same in both: {agree}.{but}"


def _fact_table(found: Sequence[Fact], published: Mapping[str, Any]) -> Table:
    words = {True: "yes", False: "no", None: "not known"}
    return text_table(
        f"Conditions. Published: {published['source']}",
        ("condition", "published", "here", "same"),
        [(fact.name, fact.theirs, fact.ours, words[fact.same]) for fact in found],
        text_columns=4,
    )


def compared(inp: ReportInput, entries: Sequence[Mapping[str, Any]], *, at_last: Sequence[str] = ()) -> pl.DataFrame:
    """Return ours and theirs for every entry and metric that both have.

    Ours are those of the selected epoch, of metrics in `at_last` those after the last one; a run whose last epoch is
    not stored has none.

    Returns
    -------
    dataset, method, lr (NULL: over all learning rates), metric, theirs, n, mean, low, high and difference = mean -
    theirs; n, mean and t-interval are over the finished runs of the entry.
    """
    rows = []
    done = _at_last_epoch(inp, at_last)
    for entry in entries:
        here = done.filter((pl.col("dataset") == entry["dataset"]) & (pl.col("method") == entry["method"]))
        lr = entry.get("lr")
        if lr is not None:
            here = here.filter((pl.col("lr") / lr - 1).abs() < 1e-9)
        for metric in METRICS:
            if entry.get(metric) is None or metric not in here.columns or not here[metric].count():
                continue
            values = here.select(value=pl.col(metric).cast(pl.Float64), one=pl.lit(1))
            (_, n, mean, _, low, high) = t_intervals(values, by=["one"], conf_level=inp.conf_level).row(0)
            rows.append(
                {"dataset": entry["dataset"], "method": entry["method"], "lr": lr, "metric": metric,
                 "theirs": float(entry[metric]), "n": n, "mean": mean, "low": low, "high": high,
                 "difference": mean - float(entry[metric])}
            )  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def _at_last_epoch(inp: ReportInput, metrics: Sequence[str]) -> pl.DataFrame:
    """Return the finished runs with `metrics` as they were after the last epoch."""
    ends = inp.epochs.join(inp.done.select("study", "cell_id", "epochs"), on=["study", "cell_id"])
    ends = ends.filter(pl.col("epoch") == pl.col("epochs"))
    measured = [metric for metric in metrics if metric in ends.columns]
    runs = inp.done.drop(metrics, strict=False)
    return runs.join(ends.select("study", "cell_id", *measured), on=["study", "cell_id"], how="left")


def _difference_figure(rows: pl.DataFrame, inp: ReportInput, data: StudyData, figure_id: str) -> list[Block]:
    level = level_words(inp.conf_level)
    drawn = [
        {
            "panel": f"{r['dataset']} · {data.metric_title(r['metric'])}",
            "row": f"{wording.method_title(r['method'])}, {wording.learning_rate(r['lr'])}", "kind": "difference",
            "estimate": r["difference"], "ci_low": None if r["low"] is None else r["low"] - r["theirs"],
            "ci_high": None if r["high"] is None else r["high"] - r["theirs"], "n": r["n"], "ours": r["mean"],
            "theirs": r["theirs"],
        }
        for r in rows.sort("metric", "dataset", "method", "lr").iter_rows(named=True)
    ]  # fmt: skip
    units = {f"{r['dataset']} · {data.metric_title(r['metric'])}": r["metric"] for r in rows.iter_rows(named=True)}
    forest = Forest(
        rows=pl.DataFrame(drawn, infer_schema_length=None),
        axes={
            panel: ("ours − published", f"{data.axis_title(metric)},", f"our t-{level}")
            for panel, metric in units.items()
        },
        kinds=("difference",),
        n_means="seeds",
        extras={"ours": "ours", "theirs": "published"},
        zero="as published",
    )
    table = _table(rows, inp, data, "Cell by cell: ours, published, difference")
    figure = forest_figure(
        forest, data, figure_id,
        title="Ours minus published, cell by cell",
        caption="The interval is that of our mean over seeds; the published means come without one, so an interval "
        "that holds 0 is no proof of equality.",
        alternative="Difference of our mean from the published one with our interval, one row per cell, one panel per "
        "data set and metric.",
        table=table,
    )  # fmt: skip
    return [figure or table]


def _table(rows: pl.DataFrame, inp: ReportInput, data: StudyData, caption: str) -> Table:
    lines = [
        (r["dataset"], wording.method_title(r["method"]), wording.learning_rate(r["lr"]), data.axis_title(r["metric"]),
         wording.number(r["mean"], 4), wording.interval(r["low"], r["high"]), str(r["n"]),
         wording.number(r["theirs"], 4), wording.signed(r["difference"]))
        for r in rows.iter_rows(named=True)
    ]  # fmt: skip
    heads = ("data set", "method", "learning rate", "metric", "ours", level_words(inp.conf_level), "n (runs)",
             "published", "difference")  # fmt: skip
    return text_table(caption, heads, lines, text_columns=4)


def _their_table(published: Mapping[str, Any]) -> Table:
    """Return the published cells as they are, folded, for the reader who wants their order."""
    metrics = [m for m in METRICS if any(m in cell for cell in published["cells"])]
    lines = [
        (cell["dataset"], wording.method_title(cell["method"]), wording.learning_rate(cell["lr"]), str(cell["n_seeds"]),
         *(wording.number(cell.get(m), 4) for m in metrics))
        for cell in published["cells"]
    ]  # fmt: skip
    heads = ("data set", "method", "learning rate", "n (seeds)", *(m.replace("_", " ") for m in metrics))
    return replace(
        text_table("The published cells, not comparable with ours", heads, lines, text_columns=3), folded=True
    )
