"""Results of the statistics as tables for people, or as CSV of their main table; comparisons: tables_methods.py."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from heatdrift.cli.options import Format
from heatdrift.cli.output import say, show_frame, show_table
from heatdrift.questions.correlation.result import Association, CorrelationResult
from heatdrift.questions.dose.result import DoseResult
from heatdrift.questions.frontier.result import FrontierResult
from heatdrift.questions.interaction.result import InteractionResult
from heatdrift.questions.layers.result import LayersResult
from heatdrift.questions.paired.result import PairedResult
from heatdrift.questions.power.result import PowerResult
from heatdrift.questions.predictors.result import PredictorsResult
from heatdrift.wording import family_text, percent


def show_interaction(result: InteractionResult, fmt: Format) -> None:
    """Findings, seed-level and model tests, contrasts, coefficients, variance components, checks; CSV: contrasts."""
    if fmt is Format.csv:
        rows_as_csv(result.contrasts)
        return
    say(f"{result.formula}   [{result.unit}]   REML log-likelihood {result.reml_loglik:.4f}")
    say(f"{result.n_runs} runs, {result.n_seeds} seeds, {result.n_dropped} runs left out")
    limits(result.left_out, result.caveats)
    say_findings(result.findings)
    tests = columns(result.tests)
    family = adjusted_over("findings", [t.p_box for t in result.tests], "terms of this response (p_box of strata)")
    show_table(*tests, title=f"tests of terms (headline: strata, the seed-level test), not adjusted; {family}")
    show_table(
        *columns(result.contrasts),
        title=f"method contrasts method_a - method_b, {percent(result.conf_level)} intervals; "
        + adjusted_over("p_holm", [c.p for c in result.contrasts], "contrasts of this response"),
    )
    show_table(
        *columns(result.robust_contrasts),
        title="the same, each against its own spread over seeds (no variance pooled); "
        + adjusted_over("p_holm", [c.p for c in result.robust_contrasts], "contrasts of this response"),
    )
    show_table(*columns(result.marginal_means), title=f"marginal means, {percent(result.conf_level)} intervals")
    show_table(*columns(result.fixed), title="fixed effects (treatment coding, Satterthwaite df)")
    show_table(
        *columns(result.likelihood_ratio),
        title="likelihood-ratio tests by ML and chi-square, as R's drop1: far too many rejections with few seeds",
    )
    show_table(*columns(result.random), title="variance components" + (", SINGULAR fit" if result.singular else ""))
    show_table(
        *columns(result.variance_tests),
        title="restricted likelihood-ratio tests of variances (p_mixture: the 50:50 approximation)",
    )
    if result.interval_method:
        say(f"intervals: {result.interval_method}")
    say(f"ICC {result.icc:.3f} ({result.icc_ci_low:.3f} to {result.icc_ci_high:.3f}: {result.icc_ci_method})")
    say(f"R2 marginal {result.r2_marginal:.3f}   R2 conditional {result.r2_conditional:.3f}")
    say(f"singular: {'yes' if result.singular else 'no'}")
    say("checks (! = look)")
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
    limits(result.left_out, result.caveats)
    say_findings(result.findings)
    title = f"{percent(result.pooled.conf_level)} interval: {result.pooled.ci_method}; p not adjusted"
    show_table(("level", *fields), rows, title=title)


def show_dose(result: DoseResult, fmt: Format) -> None:
    """Findings and one row per group and metric; CSV: the rows."""
    if fmt is Format.csv:
        rows_as_csv(result.rows)
        return
    head(result)
    chosen = "dataset method metric unit n rho p p_exact p_exact_holm seed_trend_p slope ci_low ci_high monotone"
    how = "; ".join(dict.fromkeys(row.p_method for row in result.rows))
    family = adjusted_by("p_exact_holm", result.rows, "p_exact", "metric dataset method")
    title = f"slope per tenfold learning rate with {percent(result.conf_level)} interval; p_exact {how}; {family}"
    show_table(*columns(result.rows, chosen), title=title)


AnyRows = DoseResult | PairedResult | LayersResult | PredictorsResult | FrontierResult | PowerResult


def head(result: AnyRows) -> None:
    """Print n, what was left out, the method and the findings."""
    say(f"{result.n_runs} runs on {', '.join(result.datasets)}, {result.n_dropped} left out")
    limits(result.left_out, result.caveats)
    say(f"method: {result.method}")
    say_findings(result.findings)


def limits(left_out: Sequence[str], caveats: Sequence[str]) -> None:
    """Print what is not in the answer, and what a reader must know before believing it."""
    for text in left_out:
        say(f"  left out: {text}")
    for text in caveats:
        say(f"  caveat: {text}")


def say_findings(findings: Sequence[str]) -> None:
    """Print the sentences of a result, or that there are none."""
    say("findings" if findings else "findings: none")
    for sentence in findings:
        say(f"  - {sentence}")


def columns(results: Sequence[msgspec.Struct], chosen: str = "") -> tuple[list[str], Iterable[list[object]]]:
    """Names and values of all fields, or of the chosen ones (separated by spaces)."""
    names = chosen.split() or ([field.name for field in msgspec.structs.fields(results[0])] if results else [])
    return names, [[getattr(result, name) for name in names] for result in results]


def adjusted_over(column: str, p_values: Iterable[float | None], what: str) -> str:
    """Words for the family of an adjusted p: `p_holm: Holm over 8 contrasts`; tests that are not defined do not count.

    A term's p_box is None where it is not a seed-level test.
    """
    n = sum(p is not None and not math.isnan(p) for p in p_values)
    return f"{column}: Holm over {n} {what}" if n > 1 else f"{column}: {'one' if n else 'no'} test, not adjusted"


def adjusted_by(column: str, rows: Sequence[msgspec.Struct], p: str, by: str) -> str:
    """Like `adjusted_over` for the tests with p-values in the field `p`, which differ in the fields `by`."""
    tested = [row for row in rows if not math.isnan(getattr(row, p))]
    levels = {name.replace("dataset", "data set"): [getattr(row, name) for row in tested] for name in by.split()}
    family = family_text(len(tested), levels).removeprefix(f"{len(tested)} ")
    return adjusted_over(column, [getattr(row, p) for row in tested], family)


def rows_as_csv(results: Sequence[msgspec.Struct], names: Mapping[str, str] = {}) -> None:
    """Write all fields of the rows as CSV, NaN as an empty field.

    Those in `names` get another name, or are left away where that is empty.
    """
    import polars as pl

    rows = [msgspec.structs.asdict(result) for result in results]
    rows = [{names.get(k, k): v for k, v in row.items() if names.get(k, k)} for row in rows]
    sys.stdout.write(pl.DataFrame(rows, infer_schema_length=None).fill_nan(None).write_csv())
