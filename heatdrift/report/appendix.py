"""The last sections: methods with their definitions, provenance, how to cite."""

from heatdrift import __version__
from heatdrift.metrics import PROBES
from heatdrift.report.blocks import Block, Facts, Note, Section, text_table
from heatdrift.report.caveats import selection_sentences
from heatdrift.report.inputs import ReportInput
from heatdrift.report.wording import percent

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
    )
    blocks.append(Facts(title="Definitions", pairs=formulas))
    rows = [(p.title, p.name, p.unit, p.definition) for p in PROBES]
    caption = "Probes. a is the class token's attention over the N patches, renormalised to 1."
    blocks.append(text_table(caption, ("probe", "name", "unit", "definition"), rows, text_columns=4))
    return Section(section_id="methods", title="Methods and formulas", blocks=tuple(blocks))


def provenance(inp: ReportInput) -> Section:
    """Return where the numbers come from: the facts that the store kept, section by section."""
    facts: list[Block] = [Facts(title=name, pairs=tuple(pairs)) for name, pairs in inp.provenance.items() if pairs]
    note = Note(text="No provenance was handed to this report.", tone="missing")
    return Section(section_id="provenance", title="Provenance", blocks=tuple(facts) or (note,))


def citation(inp: ReportInput) -> Section:
    """Return how to cite the study, the tool and the study that it re-implements."""
    return Section(
        section_id="cite",
        title="How to cite",
        blocks=(
            Note(
                text=f"Study “{inp.study}”, made with heatdrift {__version__}. Give the commit named under Provenance."
            ),
            Note(text=f"heatdrift re-implements: {REPLICATED}"),
        ),
    )
