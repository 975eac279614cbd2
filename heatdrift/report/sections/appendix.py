"""The last sections: methods with their definitions, provenance, how to cite."""

import polars as pl

from heatdrift import __version__
from heatdrift.methods import METHODS, Description, Method, known_family, stored_method
from heatdrift.methods.between import alpha_of, parent_name
from heatdrift.metrics import PROBES
from heatdrift.questions import QUESTIONS
from heatdrift.report.blocks import Block, Facts, Note, Section
from heatdrift.report.caveats import selection_sentences
from heatdrift.report.inputs import ReportInput
from heatdrift.report.tables import text_table
from heatdrift.report.theme import method_styles
from heatdrift.wording import capital, method_title, percent

REPLICATED = (
    "Attention Heatmap Drift in a Contrastively Pretrained Vision-Language Model: A Controlled Matched-Learning-Rate "
    "Comparison of Full Fine-Tuning and Low-Rank Adaptation. preprints.org 202604.0317, arXiv 2604.16410."
)


def methods(inp: ReportInput) -> Section:
    """Return how drift, retention and intervals are computed, and the definition of every probe."""
    blocks: list[Block] = [Note(text=text) for text in (inp.protocol, *selection_sentences(inp)) if text]
    formulas = (
        (
            "drift of a metric",
            "100 × (mean adapted − mean base) / mean base, in %: a ratio of means, never a mean of ratios",
        ),
        ("retention", "100 × zero-shot accuracy of the adapted model / that of the base, on the same images, in %"),
        ("selected epoch", "the earliest epoch of highest accuracy on the selection split; results are read there"),
        ("interval in figures", f"mean ± t(n − 1) × SD / √n over the seeds of a cell, {percent(inp.conf_level)}"),
        (
            "seed-level test",
            "per-seed contrasts tested in the term's own error stratum, degrees of freedom from the number of seeds",
        ),
        ("group", "data set × method (× backbone)"),
        (
            "adjusted p",
            "Holm over the terms of a model, and over the rows that a column's heading counts; Benjamini–Hochberg and "
            "–Yekutieli over the blocks or heads of one metric and data set",
        ),
        ("method differences", "always the first named minus the second: positive means that the first is higher"),
    )
    blocks.append(Facts(title="Definitions", pairs=formulas))
    used = [(s.name, _described(inp, s.name)) for s in method_styles(inp.grid["method"].drop_nulls().to_list())]
    trained = [
        (method_title(name), name, description.tower, "yes" if description.projection else "no", description.adapters)
        for name, description in used
        if description is not None
    ]
    if trained:
        heads = ("method", "name", "visual tower", "visual projection", "adapters")
        blocks.append(text_table("What each method trains besides the classifier", heads, trained, text_columns=5))
    statistics = _statistics(inp)
    if statistics:
        blocks.append(
            Facts(title="How the results were computed (names as in heatdrift stats … --format json)", pairs=statistics)
        )
    rows = [(p.title, p.name, p.unit, p.definition) for p in PROBES]
    caption = "Probes. a is the class token's attention over the N patches, renormalised to 1."
    blocks.append(text_table(caption, ("probe", "name", "unit", "definition"), rows, text_columns=4))
    lead = "What was trained, what was measured, and how every number on this page was computed."
    return Section(section_id="methods", title="Methods and formulas", lead=lead, blocks=tuple(blocks))


def _described(inp: ReportInput, name: str) -> Description | None:
    """Return what a method trains, as its runs carry it, else as built in; None for one that nothing is known of."""
    specs: list[Method | None] = []
    if "method_spec" in inp.runs.columns:
        texts = inp.runs.filter(pl.col("method") == name)["method_spec"].drop_nulls().unique().sort().to_list()
        specs = [stored_method(text) for text in texts]
    family = next((f for m in (*specs, METHODS.get(parent_name(name))) if (f := known_family(m)) is not None), None)
    if family is None:
        return None
    described, alpha = family.description(), alpha_of(name)
    if alpha is None:
        return described
    return described._replace(tower=f"{described.tower}; then at {alpha:g} of the way from the base")


def _statistics(inp: ReportInput) -> tuple[tuple[str, str], ...]:
    """Return what each question's answers say about their own computation."""
    asked = [(question.noun, inp.answers.get(question.name, ())) for question in QUESTIONS]
    texts = [(noun, " ".join(dict.fromkeys(a.method for a in answers if a.method))) for noun, answers in asked]
    return tuple((noun, text) for noun, text in texts if text)


def provenance(inp: ReportInput) -> Section:
    """Return where the numbers come from: the facts that the store kept, section by section."""
    facts: list[Block] = [
        Facts(title=capital(name), pairs=tuple(pairs)) for name, pairs in inp.provenance.items() if pairs
    ]
    note = Note(text="No provenance was handed to this report.", tone="missing")
    lead = "Code, machine, weights and data behind these runs, as the store kept them."
    return Section(section_id="provenance", title="Provenance", lead=lead, blocks=tuple(facts) or (note,))


def citation(inp: ReportInput) -> Section:
    """Return how to cite the study, the tool and the study that it re-implements."""
    return Section(
        section_id="cite",
        title="How to cite",
        lead="What to name when these numbers are used.",
        blocks=(
            Note(
                text=f"Study “{inp.study}”, made with heatdrift {__version__}. Give the commit named under Provenance."
            ),
            Note(text=f"heatdrift re-implements: {REPLICATED}"),
        ),
    )
