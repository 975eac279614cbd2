"""What the study found, with the caveats beside it, and what it has not measured."""

from collections.abc import Sequence

import polars as pl

from heatdrift import wording
from heatdrift.questions.correlation.result import CorrelationResult
from heatdrift.questions.correlation.section import SPOKEN, group_label
from heatdrift.questions.interaction.result import InteractionResult
from heatdrift.questions.layers.data_sets import told
from heatdrift.report.blocks import Block, Finding, Note, Section
from heatdrift.report.caveats import accuracy_caveats, line_caveats, singular_caveats, study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import frame_table


def findings(inp: ReportInput, data: StudyData) -> Section:
    """Return what the results say, in their own sentences, and beside each the checks that were flagged."""
    blocks: list[Block] = [
        *(_model(result, data) for result in inp.interactions),
        *(_correlation(result, data, i) for i, result in enumerate(inp.correlations, start=1)),
        *_others(inp, data),
    ]
    if not blocks:
        blocks.append(
            Note(text="No model and no correlation was computed for this study, so nothing is claimed.", tone="missing")
        )
    blocks += [Note(text=text, tone="caveat") for text in study_caveats(inp)]
    lead = (
        "What these runs support after adjusting for everything that was asked, with what speaks against it beside it."
    )
    return Section(section_id="findings", title="Findings", lead=lead if inp.interactions else "", blocks=tuple(blocks))


def _model(result: InteractionResult, data: StudyData) -> Finding:
    caveats = line_caveats(result)
    caveats += result.caveats or accuracy_caveats((result.metric,), on_test=data.on_test)
    caveats += [check.sentence for check in result.checks if check.flag and check.name != "singular"]
    caveats += singular_caveats(result)
    if result.left_out:
        caveats.append(f"Left out of the model: {wording.listed(list(result.left_out))}.")
    if result.n_dropped:
        caveats.append(f"{wording.counted(result.n_dropped, 'run')} left out for want of a value.")
    title = wording.capital(data.metric_title(result.metric))
    texts = result.findings or (_nothing_supported(result),)
    return Finding(title=title, sentences=texts, caveats=tuple(caveats), finding_id=f"finding-{result.metric}",
                   section_id=f"model-{result.metric}")  # fmt: skip


def _nothing_supported(result: InteractionResult) -> str:
    terms = [test for test in result.tests if test.method == "strata" and test.p == test.p]
    if not terms:
        return "The model gives no finding: no term has a seed-level test."
    size = f"{wording.counted(result.n_runs, 'run')}, {wording.counted(result.n_seeds, 'seed')}"
    return (
        f"No effect is supported: of {wording.counted(len(terms), 'term')} none has a seed-level p below 0.05 after "
        f"Holm's adjustment ({size}). With few seeds that is no proof of no effect."
    )


def _correlation(result: CorrelationResult, data: StudyData, i: int) -> Finding:
    caveats = list(result.caveats or accuracy_caveats((result.x, result.y), on_test=data.on_test))
    if result.sign_reversal:
        within = ", ".join(f"{group_label(name)} {wording.number(a.pearson, 2)}" for name, a in result.by_group.items())
        if len(result.by_group) > SPOKEN:
            below = sum(a.pearson < 0 for a in result.by_group.values())
            within = f"below 0 in {below} of {len(result.by_group)}"
        pooled = wording.number(result.pooled.pearson, 2)
        caveats.append(f"The sign differs between groups: pooled r = {pooled}; within groups: {within}.")
    if result.left_out:
        caveats.append(f"Left out of the correlation: {wording.listed(list(result.left_out))}.")
    title = f"{wording.capital(data.metric_title(result.y))} against {data.metric_title(result.x)}"
    size = f"{wording.counted(result.pooled.n, 'run')} in {wording.counted(result.pooled.n_cells, 'cell')}"
    defined = result.pooled.pearson == result.pooled.pearson  # NaN where runs are too few or do not vary
    silent = f"No relation is supported ({size})." if defined else f"No correlation is defined for these runs ({size})."
    texts = result.findings or (silent,)
    return Finding(title=title, sentences=texts, caveats=tuple(caveats), finding_id=f"finding-correlation-{i}",
                   section_id="correlation")  # fmt: skip


def _others(inp: ReportInput, data: StudyData) -> list[Finding]:
    """Return the findings of the other results, each with its section for the rest."""
    tested = inp.layer_tests
    layers = tuple(told(tested))
    about_layers = tuple(dict.fromkeys(text for result in tested for text in result.caveats))
    found: list[tuple[str, str, Sequence[str], Sequence[str]]] = []
    if inp.frontier is not None:
        caveats = inp.frontier.caveats or accuracy_caveats((inp.frontier.accuracy,), on_test=data.on_test)
        found.append(("Accuracy against retention", "frontier", inp.frontier.findings, caveats))
    if inp.predictors is not None:
        found.append(("What predicts retention", "predictors", inp.predictors.findings, inp.predictors.caveats))
    if inp.paired is not None:
        caveats = inp.paired.caveats or accuracy_caveats([r.metric for r in inp.paired.rows], on_test=data.on_test)
        found.append(("Methods at identical conditions", "paired", inp.paired.findings, caveats))
    if inp.dose is not None:
        caveats = inp.dose.caveats or accuracy_caveats([r.metric for r in inp.dose.rows], on_test=data.on_test)
        found.append(("Trends over learning rates", "dose", inp.dose.findings, caveats))
    found.append(("Blocks and heads", "layers", layers, about_layers))
    return [
        Finding(
            title=title,
            sentences=tuple(texts),
            caveats=tuple(caveats),
            finding_id=f"finding-{section}",
            section_id=section,
        )
        for title, section, texts, caveats in found
        if texts
    ]


def missing_cells(inp: ReportInput) -> Section:
    """Return every planned run that has no result, with its state and what is known of the reason."""
    grid = inp.grid.filter(pl.col("status").is_null() | (pl.col("status") != "done"))
    blocks: list[Block]
    if inp.grid.is_empty():
        blocks = [Note(text="Nothing was planned and nothing was run.", tone="missing")]
    elif grid.is_empty():
        known = "planned run" if inp.planned is not None else "recorded run"
        blocks = [Note(text=f"None: every {known} ({inp.grid.height:,}) has finished.")]
    else:
        heads = {
            "place": "data set",
            "method": "method",
            "lr": "learning rate",
            "seed": "seed",
            "status": "status",
            "error": "reason",
        }
        table = grid.with_columns(pl.col("seed").cast(pl.String)).sort("place", "method", "lr", "seed")
        blocks = [frame_table(table, "Planned runs without a result. Next: heatdrift train --all", heads=heads)]
    if inp.planned is None and not inp.grid.is_empty():
        blocks.append(Note(text="The plan of this study is not known, so only recorded runs can be counted."))
    return Section(
        section_id="missing",
        title="Missing and failed cells",
        lead="Planned runs that have no result, and why.",
        blocks=tuple(blocks),
    )
