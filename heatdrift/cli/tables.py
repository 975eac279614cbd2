"""Results of the statistics as tables for people, or as CSV of their main table."""

import sys
from collections.abc import Iterable, Sequence

import msgspec

from heatdrift.cli.options import Format
from heatdrift.cli.output import say, show_frame, show_table
from heatdrift.results import Association, CorrelationResult, InteractionResult


def show_interaction(result: InteractionResult, fmt: Format) -> None:
    """Findings, seed-level and model tests, contrasts, coefficients, variance components, checks; CSV: contrasts."""
    if fmt is Format.csv:
        _csv(result.contrasts)
        return
    say(f"{result.formula}   [{result.unit}]   REML log-likelihood {result.reml_loglik:.4f}")
    say(f"{result.n_runs} runs, {result.n_seeds} seeds, {result.n_dropped} runs left out")
    for text in result.left_out:
        say(f"  left out: {text}")
    _findings(result.findings)
    tests = _columns(result.tests)
    show_table(*tests, title="tests of terms (headline: strata, the seed-level test)")
    show_table(
        *_columns(result.contrasts), title=f"method contrasts, {result.conf_level:.0%} intervals, Holm over all rows"
    )
    show_table(*_columns(result.fixed), title="fixed effects (treatment coding, Satterthwaite df)")
    show_table(*_columns(result.random), title="variance components" + (", SINGULAR fit" if result.singular else ""))
    say(
        f"ICC {result.icc:.3f}   R2 marginal {result.r2_marginal:.3f}   R2 conditional {result.r2_conditional:.3f}"
        f"   singular: {'yes' if result.singular else 'no'}"
    )
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
    fields = ("n", "n_cells", "pearson", "ci_low", "ci_high", "spearman", "p_permutation", "permutation")
    rows = [(name, *(getattr(value, field) for field in fields)) for name, value in levels]
    if fmt is Format.csv:
        import polars as pl

        show_frame(pl.DataFrame(rows, schema=["level", *fields], orient="row"), fmt)
        return
    say(
        f"{result.x} [{result.x_unit}] against {result.y} [{result.y_unit}]: "
        f"{result.n_runs} runs, {result.n_dropped} left out"
    )
    _findings(result.findings)
    how = f"{result.pooled.conf_level:.0%} interval: {result.pooled.ci_method}, B={result.bootstrap}"
    show_table(("level", *fields), rows, title=f"{how}, seed {result.bootstrap_seed}")


def _findings(findings: Sequence[str]) -> None:
    say("findings" if findings else "findings: none")
    for sentence in findings:
        say(f"  - {sentence}")


def _columns(results: Sequence[msgspec.Struct]) -> tuple[list[str], Iterable[list[object]]]:
    names = [field.name for field in msgspec.structs.fields(results[0])] if results else []
    return names, [[getattr(result, name) for name in names] for result in results]


def _csv(results: Sequence[msgspec.Struct]) -> None:
    import polars as pl

    sys.stdout.write(pl.DataFrame([msgspec.structs.asdict(r) for r in results]).write_csv())
