"""What the study found: its primary questions under one error rate, and apart from them what else was seen."""

from dataclasses import replace
from typing import Final

from heatdrift import wording
from heatdrift.primary import CORRELATION
from heatdrift.questions import QUESTIONS
from heatdrift.questions.outcomes import PrimaryOutcome
from heatdrift.report.blocks import Block, Finding, Note, Section
from heatdrift.report.caveats import study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData

_LEADS: Final = {
    "fixed_sequence": "What the study asks first, in its order: each question is tested at 5 % as long as none "
    "before it failed, so that of studies in which nothing is true one in twenty claims anything here.",
    "holm": "What the study asks first, adjusted together by Holm's method, so that of studies in which nothing is "
    "true one in twenty claims anything here.",
}
_OWN_GRIDS: Final = (
    "The methods were run at learning rates of their own, so the effect of the method is asked with each at the rate "
    "that validation chooses for it; models compare methods at the rates that they share."
)


def findings(inp: ReportInput, data: StudyData) -> Section:
    """Return the primary questions with their verdicts, and next to each the checks that were flagged."""
    family = data.family
    blocks: list[Block] = []
    if inp.answers:
        if any(o.key is not None and o.key.startswith("best/") for o in family.primary):
            blocks.append(Note(text=_OWN_GRIDS))
        blocks += [_primary(outcome, inp, data) for outcome in family.primary]
    lead = _LEADS[family.adjust] if blocks else ""
    if not blocks:
        blocks.append(
            Note(text="No model and no correlation was computed for this study, so nothing is claimed.", tone="missing")
        )
    blocks += [Note(text=text, tone="caveat") for text in study_caveats(inp)]
    return Section(section_id="findings", title="Findings", lead=lead, blocks=tuple(blocks))


def exploratory(inp: ReportInput, data: StudyData) -> Section:
    """Return what holds after adjusting over all tests of the page, and what is only described."""
    blocks: list[Block] = []
    for question in QUESTIONS:
        if question.place is not None and question.name in inp.answers:
            blocks += question.section.headlines(inp.answers[question.name], data)
    n = wording.counted(data.family.n_tests, "test")
    lead = (
        f"Not asked first: what is left of the {n} of this page after adjusting over all of them (Benjamini-Hochberg "
        f"at {wording.percent(data.family.exploratory_alpha)}), so that about one in "
        f"{round(1 / data.family.exploratory_alpha)} of these sentences may be false. Confirm them in new runs before "
        "you claim them."
    )
    if not blocks:
        blocks.append(Note(text="Nothing else was asked of this study.", tone="missing"))
    return Section(
        section_id="exploratory",
        title="Also seen (exploratory)",
        lead=lead if inp.answers else "",
        blocks=tuple(blocks),
    )


def _primary(outcome: PrimaryOutcome, inp: ReportInput, data: StudyData) -> Finding:
    """Return one primary question; what speaks against it is what is said of the answer that it comes from."""
    finding = Finding(
        title=f"{outcome.position}. {_title(outcome, data)}",
        verdict=outcome.verdict,
        sentences=(outcome.sentence,),
        finding_id=f"primary-{outcome.position}",
    )
    for question in QUESTIONS:
        for answer in inp.answers.get(question.name, ()):
            if question.place is None or outcome.key not in {claim.key for claim in answer.claims}:
                continue
            same = question.section.headlines([answer], data)
            caveats = same[0].caveats if same else answer.caveats
            place = same[0].section_id if same else question.place.section
            return replace(finding, caveats=caveats, section_id=place)
    return finding


def _title(outcome: PrimaryOutcome, data: StudyData) -> str:
    metric = data.metric_title(outcome.metric)
    if outcome.term == CORRELATION:
        return f"{wording.capital(data.metric_title(str(outcome.against)))} and {metric}"
    words = {"lr": "learning rate", "dataset": "data set"}
    return wording.capital(f"{' x '.join(words.get(name, name) for name in outcome.term.split(':'))} and {metric}")
