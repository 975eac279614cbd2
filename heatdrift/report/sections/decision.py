"""What to choose: for each data set the method and learning rate of the best validation accuracy, and its price."""

from typing import Final

from heatdrift import wording
from heatdrift.questions.outcomes import DecisionRow, decisions_of
from heatdrift.report.blocks import Block, Choice, LegendEntry, Note, Section
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import RETENTION, StudyData
from heatdrift.report.theme import method_styles

SECTION: Final = "decision"
MOST: Final = 12  # data sets with a card; the table of `stats best` has all
_LEAD: Final = (
    "Validation accuracy alone chooses, inside each seed; what the test split says about the choice is next to it."
)
_ON_TEST: Final = (
    "Epochs were selected on the split that these accuracies are of, so every accuracy here is optimistic, and most so "
    "where most was tried."
)
_EXPLAINED: Final = {
    "real": "the difference is real (p adjusted by Holm over the data sets is below 5 %)",
    "real, within the margin": "the difference is real and smaller than the margin",
    "equivalent": "the two are equivalent: the difference is smaller than the margin",
    "undecided": "undecided: these seeds show neither a difference nor that there is none",
    "not tested": "not tested: one seed, or no spread between seeds",
}


def decision(inp: ReportInput, data: StudyData) -> Section:
    """Return a card per data set; why there is none where validation chose nothing."""
    rows = decisions_of(inp.answers.get("best", ()))
    blocks: list[Block] = [_card(row, i, inp, data) for i, row in enumerate(rows[:MOST], start=1)]
    if len(rows) > MOST:
        text = f"Shown: {MOST} of {len(rows)} data sets; heatdrift stats best --format json has all."
        blocks.append(Note(text=text))
    if not rows:
        reasons = inp.unavailable.get("best", ())
        text = " ".join(reasons) or "Methods were not compared at what validation chooses."
        blocks.append(Note(text=f"Nothing to choose between. {text}", tone="missing"))
    lead = "" if not rows else _ON_TEST if data.on_test else _LEAD
    return Section(section_id=SECTION, title="Which method and learning rate?", lead=lead, blocks=tuple(blocks))


def _card(row: DecisionRow, i: int, inp: ReportInput, data: StudyData) -> Choice:
    method, lr = wording.method_title(row.method), wording.learning_rate(row.lr)
    style = next(s for s in method_styles([row.method]) if s.name == row.method)
    place = row.dataset or (data.places[0] if len(data.places) == 1 else "this data set")
    numbers = [
        (
            wording.capital(data.metric_title(row.metric)),
            f"{wording.number(row.mean)} %",
            f"{wording.percent(inp.conf_level)} CI {_ci(row.ci_low, row.ci_high)}",
        )
    ]
    if row.zero_shot_base_pct == row.zero_shot_base_pct:
        change = f"{wording.number(row.zero_shot_base_pct)} → {wording.number(row.zero_shot_pct)} %"
        lost = wording.with_unit(wording.signed(row.zero_shot_pct - row.zero_shot_base_pct), "points")
        chance = f"; chance {wording.number(row.zero_shot_chance_pct)}" if row.zero_shot_chance_pct > 0 else ""
        numbers.append(
            (
                f"Zero-shot{_on(inp)}, before and after",
                change,
                f"{lost}; after {_ci(row.zero_shot_ci_low, row.zero_shot_ci_high)}{chance}",
            )
        )
    if row.retention_pct == row.retention_pct:
        kept = f"{wording.number(row.retention_pct)} %"
        numbers.append(
            (wording.capital(data.metric_title(RETENTION)), kept, _ci(row.retention_ci_low, row.retention_ci_high))
        )
    return Choice(
        choice_id=f"decision-{i}",
        place=place,
        title=f"{method} at learning rate {wording.unbroken(lr)}{_in_seeds(row)}",
        entry=LegendEntry.of(style),
        verdict=row.verdict if row.runner_up else "",
        against=_against(row, data.metric_title(row.metric), inp.conf_level),
        numbers=tuple(numbers),
        sentences=tuple(filter(None, (_other_rates(row), _kept_most(row, data), _more_seeds(row)))),
        details=(_how(row, wording.percent(inp.conf_level)),),
    )


def _on(inp: ReportInput) -> str:
    """Name the transfer set where there is one only."""
    sets = inp.done["transfer_set"].drop_nulls().unique().to_list()
    return f" on {sets[0]}" if len(sets) == 1 else ""


def _in_seeds(row: DecisionRow) -> str:
    """Say in how many seeds the learning rate of the title was chosen, where not in all."""
    n = row.chosen.get(wording.learning_rate(row.lr), 0)
    return "" if n == row.n_seeds else f" ({n} of {row.n_seeds} seeds)"


def _other_rates(row: DecisionRow) -> str:
    """Say what the other seeds chose: the numbers of a card are of all of them."""
    others = {lr: n for lr, n in row.chosen.items() if lr != wording.learning_rate(row.lr)}
    if not others:
        return ""
    chose = ", ".join(f"{wording.unbroken(lr)} ({wording.counted(n, 'seed')})" for lr, n in others.items())
    return f"Other seeds chose {chose}; every number here is a mean over seeds, each at its own choice."


def _ci(low: float, high: float) -> str:
    return "no interval" if low != low else f"{wording.number(low)} to {wording.number(high)}"


def _against(row: DecisionRow, accuracy: str, level: float) -> str:
    if row.runner_up is None:
        return "No other method was run here."
    other = f"{wording.method_title(row.runner_up)} at {wording.unbroken(wording.learning_rate(row.runner_up_lr))}"
    interval = wording.difference_interval(level, row.difference_ci_low, row.difference_ci_high)
    size = wording.with_unit(wording.signed(row.difference), "points")
    return f"{size} of {accuracy} ({interval}) against the next, {other}"


def _kept_most(row: DecisionRow, data: StudyData) -> str:
    """Say which cell keeps most among those that validate about as well, and what it costs."""
    most = row.kept_most
    if most is None:
        return ""
    margin = wording.with_unit(wording.number(row.margin, 2), "points")
    name = f"{wording.method_title(most.method)} at {wording.unbroken(wording.learning_rate(most.lr))}"
    if (most.method, most.lr) == (row.method, row.lr):
        others = (
            "nothing else validates as well"
            if most.n_close == 1
            else f"of {most.n_close} methods and rates that validate as well"
        )
        return f"Within {margin} of the best validation accuracy nothing keeps more zero-shot accuracy ({others})."
    accuracy = data.metric_title(row.metric)
    return (
        f"Within {margin} of the best validation accuracy {name} keeps most: retention "
        f"{wording.number(most.retention_pct)} % ({_ci(most.retention_ci_low, most.retention_ci_high)}) at "
        f"{wording.number(most.mean)} % {accuracy} ({_ci(most.ci_low, most.ci_high)})."
    )


def _more_seeds(row: DecisionRow) -> str:
    """Say what more seeds would settle, where these leave it open."""
    if row.verdict != "undecided":
        return ""
    margin = wording.with_unit(wording.number(row.margin, 2), "points")
    if row.seeds_to_settle is None:
        return ""
    return (
        f"To find a difference of {margin} with 80 % power takes {wording.counted(row.seeds_to_settle, 'seed')} of "
        f"each method, if they scatter as these {row.n_seeds} do."
    )


def _how(row: DecisionRow, level: str) -> str:
    seeds = ", ".join(f"{wording.unbroken(lr)} in {n}" for lr, n in row.chosen.items())
    text = (
        f"In each of {wording.counted(row.n_seeds, 'seed')} the highest validation accuracy chose the learning rate "
        f"({seeds}); over seeds it is best at the one above. Intervals are {level} t-intervals over seeds, each at its "
        "own choice, so that they hold the search."
    )
    if row.runner_up is None or row.verdict not in _EXPLAINED:
        return text
    tested = "" if row.p != row.p else f", t({wording.degrees(row.df)}), {wording.p_text(row.p_holm)}"
    margin = wording.with_unit(wording.number(row.margin, 2), "points")
    return f"{text} Against the next method: {_EXPLAINED[row.verdict]} (margin {margin}{tested})."
