"""Text to paste into a paper: what was done, what was found, and what to cite, from the values of the page."""

from typing import Final

from heatdrift import __version__, wording
from heatdrift.questions.outcomes import DecisionRow, decisions_of
from heatdrift.report.blocks import Block, Note, Section
from heatdrift.report.caveats import selection_sentences, study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.sections.appendix import REPLICATED
from heatdrift.report.sections.findings import compared
from heatdrift.report.study_data import StudyData

SECTION: Final = "paragraph"
# word in what an answer says about its method -> what to cite for it
_REFERENCES: Final = {
    "satterthwaite": "Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. "
    "Biometrics Bulletin 2, 110-114.",
    "kenward": "Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from restricted "
    "maximum likelihood. Biometrics 53, 983-997.",
    "holm": "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
    "Statistics 6, 65-70.",
    "box": "Box, G. E. P. (1954). Some theorems on quadratic forms applied in the study of analysis of variance "
    "problems, II. Annals of Mathematical Statistics 25, 484-498.",
    "two one-sided": "Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power "
    "approach. Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.",
    "welch": "Welch, B. L. (1947). The generalization of Student's problem when several different population variances "
    "are involved. Biometrika 34, 28-35.",
}
_ORDER: Final = {
    "fixed_sequence": "in a fixed sequence, each at 5 % as long as none before it failed",
    "holm": "together at 5 %, adjusted by Holm's method",
}


def paragraph(inp: ReportInput, data: StudyData) -> Section:
    """Return methods, results and references as plain paragraphs; a note where nothing was asked yet."""
    if not inp.answers:
        blocks: tuple[Block, ...] = (
            Note(text="No question was answered yet: there is nothing to paste.", tone="missing"),
        )
    else:
        parts = [_methods(inp, data), _results(inp, data), *_references(inp)]
        blocks = tuple(Note(text=text) for text in parts)
    return Section(
        section_id=SECTION,
        title="Text to paste",
        lead="Methods, results and references of this page in words, for a paper or a report.",
        blocks=blocks,
    )


def _methods(inp: ReportInput, data: StudyData) -> str:
    sets = sorted(inp.done["transfer_set"].drop_nulls().unique().to_list())
    kept = (
        f" Zero-shot ability was measured on {wording.listed(sets)}; retention is the accuracy of the adapted model in "
        "% of that of the pretrained one, on the same images."
        if sets
        else ""
    )
    return (
        f"Methods. {compared(inp)} {' '.join(selection_sentences(inp))}{kept} The questions named first were tested "
        f"{_ORDER[data.family.adjust]}, at the level of seeds. Computed with heatdrift {__version__}."
    )


def _results(inp: ReportInput, data: StudyData) -> str:
    found = [outcome.sentence for outcome in data.family.primary]
    chosen = [_chosen(row, data) for row in decisions_of(inp.answers.get("best", ()))]
    limits = study_caveats(inp)
    return " ".join(["Results.", *found, *chosen, *limits])


def _chosen(row: DecisionRow, data: StudyData) -> str:
    place = f"On {row.dataset}" if row.dataset else "There"
    accuracy = f"{data.metric_title(row.metric)} {wording.number(row.mean)} %"
    kept = "" if row.retention_pct != row.retention_pct else f", retention {wording.number(row.retention_pct)} %"
    other = ""
    if row.runner_up is not None:
        points = wording.with_unit(wording.signed(row.difference), "points")
        other = f"; against {wording.method_title(row.runner_up)} {points} ({row.verdict})"
    name = f"{wording.method_title(row.method)} at {wording.learning_rate(row.lr)}"
    return f"{place} validation chose {name}: {accuracy}{kept}{other}."


def _references(inp: ReportInput) -> list[str]:
    said = " ".join(answer.method for answers in inp.answers.values() for answer in answers).lower()
    used = [text for word, text in _REFERENCES.items() if word in said]
    return [f"References. {REPLICATED}", *used]
