"""Published values next to ours: cell by cell where both studies asked the same, else what differs and why not.

What is comparable is read off facts that both sides state (backbone, protocol, data sets, learning rates, ...), by one
rule for every study: values are subtracted only where `DECISIVE` facts agree.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from heatdrift import wording
from heatdrift.accuracy import selection_splits
from heatdrift.report.blocks import Block, Note, Section, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData
from heatdrift.report.summaries import t_intervals
from heatdrift.report.tables import text_table
from heatdrift.run_facts import fact_title

FOLDER: Final = Path(__file__).parent / "published_values"
METRICS: Final = ("val_acc_pct", "delta_entropy_pct", "delta_erf95_pct", "delta_entropy_last_pct", "zero_shot_pct")
DECISIVE: Final = tuple(map(fact_title, ("backbone", "protocol", "select_on", "transfer_set", "epochs")))
CELL: Final = ("dataset", "method", "lr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One condition of a study: what was published, what was done here, whether they agree (None: not known here)."""

    name: str
    theirs: str
    ours: str
    same: bool | None


@cache
def published_studies() -> tuple[Mapping[str, Any], ...]:
    """Return the published studies of the package, by name; each file names its source."""
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json")))


def facts(inp: ReportInput, published: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return the conditions of a published study and those of `inp`, both from what they state."""
    runs, cells = inp.done, pl.DataFrame(published["cells"])

    def distinct(column: str) -> list[Any]:
        return sorted(runs[column].drop_nulls().unique().to_list()) if column in runs.columns else []

    def fact(name: str, theirs: Sequence[Any], ours: Sequence[Any], *, equal: bool | None = None) -> Fact:
        same = (sorted(theirs) == sorted(ours) if equal is None else equal) if ours else None
        return Fact(name=name, theirs=_shown(theirs), ours=_shown(ours), same=same)

    def lrs(values: Sequence[float]) -> list[str]:
        return [wording.learning_rate(lr) for lr in values]

    splits = sorted(split for split in selection_splits(inp.runs) if split is not None)
    base = [round(value, 2) for value in distinct("zero_shot_base_pct")]
    published_epochs = [f"{name} {n}" for name, n in sorted(published["epochs"].items())]
    epochs = [
        f"{dataset} {n}" for dataset, n in runs.select("dataset", "epochs").drop_nulls().unique().sort(pl.all()).rows()
    ]
    shared = [e for e in published_epochs if e.split(" ")[0] in distinct("dataset")]
    base_same = all(math.isclose(value, published["zero_shot_base_pct"], abs_tol=0.5) for value in base)
    published_lrs, our_lrs = lrs(sorted(cells["lr"].unique())), lrs(distinct("lr"))
    return (
        fact("backbone", [published["backbone"]], distinct("backbone")),
        fact("protocol", [published["protocol"]], distinct("protocol")),
        fact(fact_title("select_on"), [published["select_on"]], splits),
        fact("epochs", published_epochs, epochs, equal=bool(shared) and set(shared) <= set(epochs)),
        fact(fact_title("transfer_set"), [published["transfer_set"]], distinct("transfer_set")),
        fact("zero-shot accuracy of the base (%)", [published["zero_shot_base_pct"]], base, equal=base_same),
        fact("data sets", cells["dataset"].unique().sort().to_list(), distinct("dataset")),
        fact("methods", cells["method"].unique().sort().to_list(), distinct("method")),
        fact("learning rates", published_lrs, our_lrs, equal=published_lrs == our_lrs),
        fact("seeds", published["seeds"], distinct("seed")),
    )


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values) or wording.NOT_MEASURED


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
    rows = compared(inp, published["cells"])
    differing = [fact.name for fact in found if fact.name in DECISIVE and not fact.same]
    comparable = not differing and not rows.is_empty()
    blocks: list[Block] = [Note(text=_verdict(found, rows, differing)), _fact_table(found, published)]
    if not comparable:
        return [*blocks, _their_table(published)]
    blocks += _difference_figure(rows, inp, data, figure_id)
    for key, title in (("method_means", "Means of each method over its learning rates"), ("last_layer", "Last block")):
        more = compared(inp, published.get(key, ()))
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


def compared(inp: ReportInput, entries: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return ours and theirs for every entry and metric that both have.

    Returns
    -------
    dataset, method, lr (NULL: over all learning rates), metric, theirs, n, mean, low, high and difference = mean -
    theirs; n, mean and t-interval are over the finished runs of the entry.
    """
    rows = []
    for entry in entries:
        here = inp.done.filter((pl.col("dataset") == entry["dataset"]) & (pl.col("method") == entry["method"]))
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
