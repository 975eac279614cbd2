"""The middle sections: what was measured, what the model says with its checks, how drift goes with forgetting."""

from heatdrift.report import wording
from heatdrift.report.blocks import Block, Facts, Note, Section, Table, text_table
from heatdrift.report.caveats import selection_sentences, singular_caveats
from heatdrift.report.figures import dose_response, layer_heatmaps, trajectories
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_figures import (
    contrast_figure,
    contrast_table,
    correlation_figure,
    means_table,
    metric_title,
)
from heatdrift.report.study_data import DRIFT, PERFORMANCE, StudyData
from heatdrift.results import InteractionResult, TermTest

DDF_WORDS = {
    "strata": "seed-level (error strata)",
    "satterthwaite": "model, Satterthwaite",
    "kenward_roger": "model, Kenward–Roger",
}
DDF_ORDER = tuple(DDF_WORDS)


def measured(inp: ReportInput, data: StudyData) -> tuple[Section, ...]:
    """Return dose-response, layers and trajectories; one note instead where no run can be drawn."""
    if data.runs.is_empty():
        text = "No finished run with a learning rate above 0: there is nothing to draw."
        return (Section(section_id="dose", title="Dose-response", blocks=(Note(text=text, tone="missing"),)),)
    level = f"{wording.percent(inp.conf_level)} t-intervals"
    shared = f"Means over seeds with {level}, at the selected epoch. Methods at one learning rate stand side by side."
    transfer_sets = sorted(inp.done["transfer_set"].drop_nulls().unique().to_list())
    on = f" Retention on {wording.listed(transfer_sets)}." if transfer_sets else ""
    drift = dose_response(data, "fig-drift", "Drift against learning rate", DRIFT, shared)
    kept = f"{shared}{on} {' '.join(selection_sentences(inp))}"
    performance = dose_response(data, "fig-performance", "Accuracy and zero-shot retention", PERFORMANCE, kept)
    return (
        Section(
            section_id="dose",
            title="Dose-response",
            lead="What each learning rate does to attention, representations, weights, accuracy and zero-shot ability.",
            blocks=(*drift, *performance),
        ),
        Section(
            section_id="layers",
            title="Layers and heads",
            blocks=(*layer_heatmaps(data, "fig-layers"), *_heads_note(inp)),
        ),
        Section(section_id="course", title="Course over epochs", blocks=trajectories(data, "fig-course")),
    )


def _heads_note(inp: ReportInput) -> tuple[Block, ...]:
    if inp.heads.is_empty():
        return (
            Note(text="No per-head values were recorded for this study; imported records keep none.", tone="missing"),
        )
    n_heads = inp.heads.select("layer", "head").unique().height
    text = f"Values of {wording.counted(n_heads, 'head')} (blocks × heads) are in the store: heatdrift sql, view heads."
    return (Note(text=text),)


def models(inp: ReportInput, data: StudyData) -> Section:
    """Return every interaction model: contrasts, tests with df by three methods, checks, components, coefficients."""
    blocks: list[Block] = []
    for i, result in enumerate(inp.interactions, start=1):
        blocks += _model(result, data, f"fig-contrasts-{i}")
    lead = (
        "Mixed-effects models of one metric each against learning rate, method and data set, seed as a random effect."
    )
    if not blocks:
        lead, blocks = "", [Note(text="No interaction model was computed for this study.", tone="missing")]
    return Section(section_id="models", title="Interaction models", lead=lead, blocks=tuple(blocks))


def _model(result: InteractionResult, data: StudyData, figure_id: str) -> list[Block]:
    name = metric_title(result.metric)
    fit = Facts(
        title=f"Model of {name} ({result.unit})",
        pairs=(
            (
                "formula",
                f"{result.formula} + {result.random_terms}"
                if result.random_terms not in result.formula
                else result.formula,
            ),
            ("n", f"{wording.counted(result.n_runs, 'run')}, {wording.counted(result.n_seeds, 'seed')}"),
            ("learning rate as", result.lr_as),
            ("REML log-likelihood", wording.number(result.reml_loglik, 6)),
            ("ML log-likelihood", wording.number(result.ml_loglik, 6)),
            ("ICC", wording.number(result.icc)),
            ("R² marginal", wording.number(result.r2_marginal)),
            ("R² conditional", wording.number(result.r2_conditional)),
            ("singular", "yes" if result.singular else "no"),
        ),
    )
    blocks: list[Block] = [fit, *contrast_figure(result, data, figure_id), _tests(result), _checks(result)]
    blocks[1:1] = [Note(text=text, tone="caveat") for text in singular_caveats(result)]
    if result.method_effects:
        caption = f"Difference of {name} between methods, averaged over learning rates and data sets, seed-level test"
        blocks.append(contrast_table(result, result.method_effects, caption))
    if result.marginal_means:
        blocks.append(means_table(result))
    components = [(c.group, wording.number(c.variance), wording.number(c.sd)) for c in result.random]
    blocks.append(
        text_table(f"Variance components of {name}", ("group", f"variance ({result.unit})²", "SD"), components)
    )
    fixed = [
        (
            f.term,
            wording.number(f.estimate),
            wording.number(f.se),
            wording.degrees(f.df),
            wording.number(f.t),
            wording.p_value(f.p),
        )
        for f in result.fixed
    ]
    if result.likelihood_ratio:
        caption = f"Likelihood-ratio tests of {name} (ML, χ²), for comparison"
        ratios = [(r.term, wording.number(r.chi2), str(r.df), wording.p_value(r.p)) for r in result.likelihood_ratio]
        blocks.append(text_table(caption, ("term", "χ²", "df", "p"), ratios))
    heads = ("coefficient", f"estimate ({result.unit})", "SE", "df (Satterthwaite)", "t", "p")
    blocks.append(text_table(f"Fixed effects of {name} (treatment coding)", heads, fixed))
    return blocks


def _tests(result: InteractionResult) -> Table:
    """Set the tests of each term side by side, the seed-level one, which is the headline, first."""
    by_term: dict[str, dict[str, str]] = {}
    for test in result.tests:
        df = f"F({wording.degrees(test.df_num)}, {wording.degrees(test.df_den)}) = {wording.number(test.f)}"
        by_term.setdefault(test.term, {})[test.method] = f"{df}, p {_equals(test.p)}{_corrected(test)}"
    rows = [(term, *(found.get(m, wording.NOT_MEASURED) for m in DDF_ORDER)) for term, found in by_term.items()]
    caption = f"Tests of {metric_title(result.metric)}, type III. The seed-level test is the headline."
    if any(test.p_box is not None for test in result.tests):
        caption += " Box p is what a finding rests on: corrected for variances that differ between levels."
    if any("GG p" in _corrected(test) for test in result.tests):
        caption += " GG p: Greenhouse–Geisser's correction for unequal variances of the differences."
    return text_table(caption, ("term", *DDF_WORDS.values()), rows)


def _corrected(test: TermTest) -> str:
    """Return Box's p-value, and Greenhouse-Geisser's, where the test has one that differs from p."""
    found = {"Box p": test.p_box, "GG p": test.p_gg}
    parts = [f"{name} {_equals(p)}" for name, p in found.items() if p is not None and p != test.p]
    return f" ({', '.join(parts)})" if parts else ""


def _equals(p: float) -> str:
    text = wording.p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _checks(result: InteractionResult) -> Table:
    rows = [
        (
            "look" if check.flag else "passed",
            check.name.replace("_", " "),
            check.sentence,
            ", ".join(f"{key} = {_value(key, value)}" for key, value in check.values.items()),
        )
        for check in result.checks
    ]
    caption = f"Checks of the model of {metric_title(result.metric)}"
    return text_table(caption, ("verdict", "check", "what it says", "numbers"), rows, text_columns=4)


def _value(key: str, value: float | int | str | None) -> str:
    if isinstance(value, float):
        return wording.p_value(value) if key == "p" or key.endswith("_p") else wording.number(value)
    return wording.NOT_MEASURED if value is None else str(value)


def correlations(inp: ReportInput, data: StudyData) -> Section:
    """Return every correlation: the scatter with its groups, and the table of associations."""
    blocks: list[Block] = []
    for i, result in enumerate(inp.correlations, start=1):
        blocks += correlation_figure(result, data, f"fig-correlation-{i}")
    lead = "Whether drift goes with zero-shot retention, and whether that holds inside the groups."
    if not blocks:
        lead, blocks = "", [Note(text="No correlation was computed for this study.", tone="missing")]
    return Section(section_id="correlation", title="Drift and forgetting", lead=lead, blocks=tuple(blocks))
