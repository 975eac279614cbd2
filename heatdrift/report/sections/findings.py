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
from heatdrift.report.sections.measured import performance
from heatdrift.report.study_data import StudyData
from heatdrift.report.theme import method_styles

_LEADS: Final = {
    "fixed_sequence": "Asked first, in this order, each tested at 5 % as long as none before it failed: of studies in "
    "which nothing is true one in twenty claims anything here.",
    "holm": "Asked first, adjusted together by Holm's method: of studies in which nothing is true one in twenty claims "
    "anything here.",
}
EXPLORATORY: Final = "exploratory"
MOST_NAMED: Final = 3  # data sets that the opening line names
_OWN_GRIDS: Final = (
    "The methods were run at learning rates of their own, so the effect of the method is asked with each at the rate "
    "that validation chooses for it; models compare methods at the rates that they share."
)


def findings(inp: ReportInput, data: StudyData) -> Section:
    """Return the primary questions with their verdicts, and next to each the checks that were flagged."""
    family = data.family
    blocks: list[Block] = []
    if not inp.grid.is_empty():
        blocks.append(Note(text=compared(inp)))
    if inp.answers:
        if any(o.key is not None and o.key.startswith("best/") for o in family.primary):
            blocks.append(Note(text=_OWN_GRIDS))
        blocks += [_primary(outcome, inp, data) for outcome in family.primary]
    if not inp.answers:
        blocks.append(
            Note(text="No model and no correlation was computed for this study, so nothing is claimed.", tone="missing")
        )
    blocks += [Note(text=text, tone="caveat") for text in study_caveats(inp)]
    blocks += [Note(text=_LEADS[family.adjust], tone="aside")] if inp.answers else []
    return Section(section_id="findings", title="Findings", blocks=tuple(blocks), beside=performance(inp, data))


def compared(inp: ReportInput) -> str:
    """Return what was compared in a line: `80 runs: Full FT and LoRA r=8 at 4 learning rates, ... 5 seeds`."""
    grid, done = inp.grid, inp.done
    names = grid["method"].drop_nulls().to_list()
    methods = wording.listed([style.title for style in method_styles(names)])
    lrs = [wording.unbroken(wording.learning_rate(lr)) for lr in sorted(grid["lr"].drop_nulls().unique().to_list())]
    rates = lrs[0] if len(lrs) == 1 else f"{len(lrs)} learning rates ({lrs[0]} to {lrs[-1]})" if lrs else "no rate"
    datasets = sorted(grid["dataset"].drop_nulls().unique().to_list())
    where = wording.listed(datasets) if len(datasets) <= MOST_NAMED else wording.counted(len(datasets), "data set")
    backbones = sorted(grid["backbone"].drop_nulls().unique().to_list())
    model = f" {wording.listed(backbones)}," if backbones else ""
    seeds = wording.counted(grid["seed"].n_unique(), "seed")
    runs = wording.counted(done.height, "run")
    some = "" if done.height == grid.height else f" of {grid.height:,} planned"
    return f"{runs}{some}:{model} {methods} on {where}, {rates}, {seeds}."


def exploratory(inp: ReportInput, data: StudyData) -> Section:
    """Return what holds after adjusting over all tests of the page, and what is only described."""
    blocks: list[Block] = []
    for question in QUESTIONS:
        if question.place is not None and question.name in inp.answers:
            blocks += [replace(f, shown=1) for f in question.section.headlines(inp.answers[question.name], data)]
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
        section_id=EXPLORATORY,
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
        metric=outcome.metric,
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
