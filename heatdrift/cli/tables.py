"""Results of the statistics as tables for people, or as CSV of their main table."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from heatdrift.cli.options import Format
from heatdrift.cli.output import say, show_frame, show_table
from heatdrift.results import (
    Association,
    CorrelationResult,
    DoseResult,
    FrontierResult,
    InteractionResult,
    LayersResult,
    PairedResult,
    PowerResult,
    PredictorsResult,
)

# Of hundreds of heads the table shows those that differ, at most this many; JSON and CSV have all.
SHOWN_HEADS: Final = 20
_SUPPORTED: Final = 0.05
_WIDE_MARGIN: Final = 10.0  # points of validation accuracy, offered where the chosen margin leaves one candidate


def show_interaction(result: InteractionResult, fmt: Format) -> None:
    """Findings, seed-level and model tests, contrasts, coefficients, variance components, checks; CSV: contrasts."""
    if fmt is Format.csv:
        _csv(result.contrasts)
        return
    say(f"{result.formula}   [{result.unit}]   REML log-likelihood {result.reml_loglik:.4f}")
    say(f"{result.n_runs} runs, {result.n_seeds} seeds, {result.n_dropped} runs left out")
    _limits(result.left_out, result.caveats)
    _findings(result.findings)
    tests = _columns(result.tests)
    show_table(*tests, title="tests of terms (headline: strata, the seed-level test)")
    show_table(
        *_columns(result.contrasts),
        title=f"method contrasts method_a - method_b, {result.conf_level:.0%} intervals, Holm over all rows",
    )
    show_table(
        *_columns(result.robust_contrasts),
        title="the same, each against its own spread over seeds (no variance pooled)",
    )
    show_table(*_columns(result.marginal_means), title=f"marginal means, {result.conf_level:.0%} intervals")
    show_table(*_columns(result.fixed), title="fixed effects (treatment coding, Satterthwaite df)")
    show_table(
        *_columns(result.likelihood_ratio),
        title="likelihood-ratio tests by ML and chi-square, as R's drop1: far too many rejections with few seeds",
    )
    show_table(*_columns(result.random), title="variance components" + (", SINGULAR fit" if result.singular else ""))
    show_table(
        *_columns(result.variance_tests),
        title="restricted likelihood-ratio tests of variances (p_mixture: the 50:50 approximation)",
    )
    if result.interval_method:
        say(f"intervals: {result.interval_method}")
    say(f"ICC {result.icc:.3f} ({result.icc_ci_low:.3f} to {result.icc_ci_high:.3f}: {result.icc_ci_method})")
    say(f"R2 marginal {result.r2_marginal:.3f}   R2 conditional {result.r2_conditional:.3f}")
    say(f"singular: {'yes' if result.singular else 'no'}")
    say("checks")
    for check in result.checks:
        say(f"  {'!' if check.flag else ' '} {check.name}: {check.sentence}")


def show_correlation(result: CorrelationResult, fmt: Format) -> None:
    """One row per level: pooled, data sets, groups, repeated-measures, partial."""
    levels: list[tuple[str, Association]] = [("pooled", result.pooled)]
    levels += [(f"within {name}", value) for name, value in result.by_dataset.items()]
    levels += [(f"within {name}", value) for name, value in result.by_group.items()]
    levels += [
        (name, value)
        for name, value in (("repeated measures", result.rmcorr), ("partial, given lr", result.partial))
        if value is not None
    ]
    fields = (
        "n",
        "n_cells",
        "pearson",
        "ci_low",
        "ci_high",
        "spearman",
        "p_permutation",
        "seed_level_p",
        "permutation",
    )
    rows = [(name, *(getattr(value, field) for field in fields)) for name, value in levels]
    if fmt is Format.csv:
        import polars as pl

        show_frame(pl.DataFrame(rows, schema=["level", *fields], orient="row").fill_nan(None), fmt)
        return
    say(
        f"{result.x} [{result.x_unit}] against {result.y} [{result.y_unit}]: "
        f"{result.n_runs} runs, {result.n_dropped} left out"
    )
    _limits(result.left_out, result.caveats)
    _findings(result.findings)
    title = f"{result.pooled.conf_level:.0%} interval: {result.pooled.ci_method}"
    show_table(("level", *fields), rows, title=title)


def show_dose(result: DoseResult, fmt: Format) -> None:
    """Findings and one row per group and metric; CSV: the rows."""
    if fmt is Format.csv:
        _csv(result.rows)
        return
    _head(result)
    columns = "dataset method metric unit n rho p p_exact p_exact_holm seed_trend_p slope ci_low ci_high monotone"
    how = "; ".join(dict.fromkeys(row.p_method for row in result.rows))
    title = f"slope per tenfold learning rate with {result.conf_level:.0%} interval; p_exact {how}"
    show_table(*_columns(result.rows, columns), title=title)


def show_paired(result: PairedResult, fmt: Format) -> None:
    """Findings and one row per data set and metric; CSV: the rows."""
    if fmt is Format.csv:
        _csv(result.rows)
        return
    _head(result)
    title = f"{result.method_a} - {result.method_b}, over pairs as published (Holm over all rows)"
    columns = "dataset metric unit n mean_a mean_b difference dz t t_p t_p_holm wilcoxon_p"
    show_table(*_columns(result.rows, columns), title=title)
    columns = "dataset metric seed_difference ci_low ci_high seed_t seed_df seed_p seed_p_holm n_seeds"
    title = f"the same at the seed level, {result.conf_level:.0%} intervals"
    show_table(*_columns(result.rows, columns), title=title)


def show_layers(result: LayersResult, fmt: Format) -> None:
    """Findings, all blocks, and the heads that differ most; CSV: all rows."""
    if fmt is Format.csv:
        _csv(result.rows)
        return
    _head(result)
    common = "unit estimate ci_low ci_high t df p p_bh p_by"
    places = {"method": "metric layer", "drift": "dataset method metric layer"}
    titles = {"method": f"{result.method_a} - {result.method_b}", "drift": "mean drift against 0"}
    for test, place in places.items():
        rows = [row for row in result.rows if row.test == test]
        blocks = [row for row in rows if row.head is None]
        if blocks:
            show_table(*_columns(blocks, f"{place} {common}"), title=f"blocks: {titles[test]}")
        heads = [row for row in rows if row.head is not None]
        found = sorted((row for row in heads if row.p_bh < _SUPPORTED), key=lambda row: row.p_bh)
        if heads:
            title = f"heads: {titles[test]}; {len(found)} of {len(heads)} at 5 % (Benjamini-Hochberg)"
            title += f", first {SHOWN_HEADS}" if len(found) > SHOWN_HEADS else ""
            show_table(*_columns(found[:SHOWN_HEADS], f"{place} head {common}"), title=title)


def show_predictors(result: PredictorsResult, fmt: Format) -> None:
    """Findings, signals best first, and what selection by each keeps; CSV: signals."""
    if fmt is Format.csv:
        _csv(result.rows)
        return
    _head(result)
    ranks = "signal orientation reference n rho rho_within_dataset_abs rho_within_group_abs rho_within_group"
    scores = "signal n_cells score ci_low ci_high p_adjusted seed_level_p gap gap_ci_low gap_ci_high best_share"
    for when, words in (("final", "at the selected epoch"), ("epoch1", "after epoch 1")):
        rows = [row for row in result.rows if row.when == when]
        ranked = sorted(rows, key=lambda row: (row.score != row.score, -row.score))
        if ranked:
            show_table(*_columns(ranked, ranks), title=f"signals {words} against {result.metric}, over runs")
            level = f"{result.conf_level:.0%} intervals from {result.bootstrap} resamples"
            title = f"the same over cell means, oriented, {level}"
            show_table(*_columns(ranked, scores), title=title)
    columns = "dataset signal picked retention_pct ci_low ci_high oracle random worst n_candidates"
    for rows_of, words in ((result.selection, "at the selected epoch"), (result.selection_epoch1, "after epoch 1")):
        choices = [row for row in rows_of if row.n_candidates > 1]
        if choices:
            show_table(*_columns(choices, columns), title=f"selection by the signal {words}: {result.metric}")
    alone = {row.dataset or result.datasets[0] for row in result.selection if row.n_candidates == 1}
    if alone:
        say(
            f"no selection on {', '.join(sorted(alone))}: one cell lies within {result.margin:g} points of the best "
            f"validation accuracy. A wider margin gives a choice: --margin {max(_WIDE_MARGIN, 2 * result.margin):g}"
        )


def show_frontier(result: FrontierResult, fmt: Format) -> None:
    """Findings, cells and matched comparisons; CSV: cells."""
    if fmt is Format.csv:
        _csv(result.cells)
        return
    _head(result)
    place = "dataset method lr"
    values = "n_seeds acc_pct retention_pct weight_drift on_front front_share dominated_by"
    show_table(
        *_columns(result.cells, f"{place} {values}"), title=f"cells, means over seeds (acc_pct: {result.accuracy})"
    )
    limits = "acc_ci_low acc_ci_high retention_ci_low retention_ci_high"
    show_table(*_columns(result.cells, f"{place} {limits}"), title=f"their {result.conf_level:.0%} intervals")
    matched = "dataset matched_on method_a method_b overlap_low overlap_high difference ci_low ci_high n_seeds"
    title = "retention of method_a - method_b at equal accuracy or weight drift"
    show_table(*_columns(result.matched, matched), title=title)


def show_power(result: PowerResult, fmt: Format) -> None:
    """Findings and detectable differences by number of seeds; CSV: the rows."""
    if fmt is Format.csv:
        _csv(result.rows)
        return
    _head(result)
    title = f"detectable {result.method_a} - {result.method_b} in {result.metric} ({result.unit})"
    show_table(*_columns(result.rows), title=f"{title}, power {result.power:g} at {result.alpha:g}")


_Rows = DoseResult | PairedResult | LayersResult | PredictorsResult | FrontierResult | PowerResult


def _head(result: _Rows) -> None:
    """Print n, what was left out, the method and the findings."""
    say(f"{result.n_runs} runs on {', '.join(result.datasets)}, {result.n_dropped} left out")
    _limits(result.left_out, result.caveats)
    say(f"method: {result.method}")
    _findings(result.findings)


def _limits(left_out: Sequence[str], caveats: Sequence[str]) -> None:
    """Print what is not in the answer, and what a reader must know before believing it."""
    for text in left_out:
        say(f"  left out: {text}")
    for text in caveats:
        say(f"  caveat: {text}")


def _findings(findings: Sequence[str]) -> None:
    say("findings" if findings else "findings: none")
    for sentence in findings:
        say(f"  - {sentence}")


def _columns(results: Sequence[msgspec.Struct], chosen: str = "") -> tuple[list[str], Iterable[list[object]]]:
    """Names and values of all fields, or of the chosen ones (separated by spaces)."""
    names = chosen.split() or ([field.name for field in msgspec.structs.fields(results[0])] if results else [])
    return names, [[getattr(result, name) for name in names] for result in results]


def _csv(results: Sequence[msgspec.Struct]) -> None:
    import polars as pl

    rows = [msgspec.structs.asdict(result) for result in results]
    sys.stdout.write(pl.DataFrame(rows, infer_schema_length=None).fill_nan(None).write_csv())
