"""Tables of the ``heatdrift stats`` commands that compare methods, blocks, signals and cells."""

import math
from collections.abc import Sequence
from typing import Final

from heatdrift.cli.options import Format
from heatdrift.cli.output import say, show_table
from heatdrift.cli.tables import adjusted_by, columns, head, rows_as_csv
from heatdrift.metrics import signal_title
from heatdrift.questions.frontier.result import FrontierResult
from heatdrift.questions.layers.result import LayerRow, LayersResult
from heatdrift.questions.paired.result import PairedResult
from heatdrift.questions.power.result import PowerResult
from heatdrift.questions.predictors.result import PredictorRow, PredictorsResult, SelectionRow
from heatdrift.wording import counted, percent

# Of hundreds of heads the table shows those that differ, at most this many; JSON and CSV have all.
SHOWN_HEADS: Final = 20
_SUPPORTED: Final = 0.05
_WIDE_MARGIN: Final = 10.0  # points of validation accuracy, offered where the chosen margin leaves one candidate


def show_paired(result: PairedResult, fmt: Format) -> None:
    """Findings and one row per data set and metric; CSV: the rows, with each mean under the name of its method."""
    if fmt is Format.csv:
        means = {"mean_a": f"mean_{result.method_a}", "mean_b": f"mean_{result.method_b}"}
        rows_as_csv(result.rows, {"mean_full_ft": "", "mean_lora_r8": "", **means})
        return
    head(result)
    title = f"{result.method_a} - {result.method_b}, over pairs as published; "
    title += adjusted_by("t_p_holm", result.rows, "t_p", "metric dataset")
    chosen = "dataset metric unit n mean_a mean_b difference dz t t_p t_p_holm wilcoxon_p"
    show_table(*columns(result.rows, chosen), title=title)
    chosen = "dataset metric seed_difference ci_low ci_high seed_t seed_df seed_p seed_p_holm n_seeds"
    title = f"the same at the seed level, {percent(result.conf_level)} intervals; "
    title += adjusted_by("seed_p_holm", result.rows, "seed_p", "metric dataset")
    show_table(*columns(result.rows, chosen), title=title)


def show_layers(result: LayersResult, fmt: Format) -> None:
    """Findings, all blocks, and the heads that differ most; CSV: all rows."""
    if fmt is Format.csv:
        rows_as_csv(result.rows)
        return
    head(result)
    common = "unit estimate ci_low ci_high t df p p_bh p_by"
    places = {"method": "metric layer", "drift": "dataset method metric layer"}
    titles = {"method": f"{result.method_a} - {result.method_b}", "drift": "mean drift against 0"}
    for test, place in places.items():
        rows = [row for row in result.rows if row.test == test]
        blocks = [row for row in rows if row.head is None]
        if blocks:
            show_table(*columns(blocks, f"{place} {common}"), title=f"blocks: {titles[test]}; {_family(blocks)}")
        heads = [row for row in rows if row.head is not None]
        found = sorted((row for row in heads if row.p_bh < _SUPPORTED), key=lambda row: row.p_bh)
        if heads:
            title = f"heads: {titles[test]}; {len(found)} of {len(heads)} at 5 % (p_bh)"
            title += f", first {SHOWN_HEADS}" if len(found) > SHOWN_HEADS else ""
            title += f"; {_family(heads)}"
            show_table(*columns(found[:SHOWN_HEADS], f"{place} head {common}"), title=title)


def _family(rows: Sequence[LayerRow]) -> str:
    """Words for what the false discovery rate of blocks or heads is controlled over."""
    sizes = sorted({row.family for row in rows if row.family})
    over = " or ".join(str(size) for size in sizes) or "no"
    return f"p_bh, p_by: Benjamini-Hochberg, -Yekutieli over the {over} tests of a metric"


def show_predictors(result: PredictorsResult, fmt: Format) -> None:
    """Findings, signals best first, and what selection by each keeps; CSV: signals."""
    if fmt is Format.csv:
        rows_as_csv(result.rows)
        return
    head(result)
    ranks = "signal title orientation reference n rho rho_within_dataset_abs rho_within_group_abs rho_within_group"
    scores = "signal n_cells score ci_low ci_high p_adjusted seed_level_p gap gap_ci_low gap_ci_high best_share"
    for when, words in (("final", "at the selected epoch"), ("epoch1", "after epoch 1")):
        rows = [row for row in result.rows if row.when == when]
        ranked = sorted(rows, key=lambda row: (row.score != row.score, -row.score))
        if ranked:
            show_table(*_titled(ranked, ranks), title=f"{_counted(rows)} {words} against {result.metric}, over runs")
            level = f"{percent(result.conf_level)} intervals from {result.bootstrap} resamples"
            family = sum(not math.isnan(row.p_adjusted) for row in rows)
            title = f"the same over cell means, oriented, {level}; p_adjusted: over {counted(family, 'signal')}"
            show_table(*columns(ranked, scores), title=title)
    chosen = "dataset signal title picked retention_pct ci_low ci_high oracle random worst n_candidates"
    for rows_of, words in ((result.selection, "at the selected epoch"), (result.selection_epoch1, "after epoch 1")):
        choices = [row for row in rows_of if row.n_candidates > 1]
        if choices:
            show_table(*_titled(choices, chosen), title=f"selection by the signal {words}: {result.metric}")
    alone = {row.dataset or result.datasets[0] for row in result.selection if row.n_candidates == 1}
    if alone:
        say(
            f"no selection on {', '.join(sorted(alone))}: one cell lies within {result.margin:g} points of the best "
            f"validation accuracy. A wider margin gives a choice: --margin {max(_WIDE_MARGIN, 2 * result.margin):g}"
        )


def _counted(rows: Sequence[PredictorRow]) -> str:
    references = sum(row.reference for row in rows)
    return f"{counted(len(rows) - references, 'signal')} and {counted(references, 'reference')}"


def _titled(rows: Sequence[PredictorRow] | Sequence[SelectionRow], chosen: str) -> tuple[list[str], list[list[object]]]:
    """Like `columns`, with the words that sentences use for a signal as the column `title`."""
    names = chosen.split()
    return names, [[signal_title(r.signal) if name == "title" else getattr(r, name) for name in names] for r in rows]


def show_frontier(result: FrontierResult, fmt: Format) -> None:
    """Findings, cells and matched comparisons; CSV: cells."""
    if fmt is Format.csv:
        rows_as_csv(result.cells)
        return
    head(result)
    place = "dataset method lr"
    values = "n_seeds acc_pct retention_pct weight_drift on_front front_share dominated_by"
    show_table(
        *columns(result.cells, f"{place} {values}"), title=f"cells, means over seeds (acc_pct: {result.accuracy})"
    )
    limits = "acc_ci_low acc_ci_high retention_ci_low retention_ci_high"
    show_table(*columns(result.cells, f"{place} {limits}"), title=f"their {percent(result.conf_level)} intervals")
    matched = "dataset matched_on method_a method_b overlap_low overlap_high difference ci_low ci_high n_seeds"
    title = "retention of method_a - method_b at equal accuracy or weight drift, intervals not adjusted"
    show_table(*columns(result.matched, matched), title=title)


def show_power(result: PowerResult, fmt: Format) -> None:
    """Findings and detectable differences by number of seeds; CSV: the rows."""
    if fmt is Format.csv:
        rows_as_csv(result.rows)
        return
    head(result)
    title = f"detectable {result.method_a} - {result.method_b} in {result.metric} ({result.unit})"
    show_table(*columns(result.rows), title=f"{title}, power {result.power:g} at {result.alpha:g}")
