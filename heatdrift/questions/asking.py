"""Ask every question that has a place on a page; one that cannot be answered never costs the others."""

from collections.abc import Mapping, Sequence
from typing import Final

from numpy.linalg import LinAlgError

from heatdrift.accuracy import accuracy_metric, finished
from heatdrift.errors import HeatdriftError
from heatdrift.questions import QUESTIONS
from heatdrift.questions.all_result import AllResult
from heatdrift.questions.answer import Answer
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.family import page_family
from heatdrift.questions.outcomes import Family
from heatdrift.questions.page_choices import own_grids
from heatdrift.questions.selection import study_name
from heatdrift.wording import capital

_METHOD: Final = (
    "primary questions: {adjust} at 5 %; all tests of the page, primary or not, adjusted together by "
    "Benjamini-Hochberg at {exploratory:g} %. Each test is that of its own command, named first in its key"
)
_ADJUST: Final = {
    "fixed_sequence": "a fixed sequence, each tested as long as none before it failed,",
    "holm": "Holm's adjustment",
}


def ask_all(study: StudyRuns) -> tuple[dict[str, list[Answer]], dict[str, list[str]]]:
    """Return question -> its answers, and question -> why an answer is missing, in sentences."""
    answers: dict[str, list[Answer]] = {}
    reasons: dict[str, list[str]] = {}
    for question in QUESTIONS:
        if question.place is None:
            continue
        for what, ask in question.for_page(study):
            try:
                answers.setdefault(question.name, []).append(ask())
            except (HeatdriftError, LinAlgError) as error:
                said = error.message if isinstance(error, HeatdriftError) else f"it cannot be computed ({error})"
                reasons.setdefault(question.name, []).append(f"{capital(what)}: {said}.")
                study.note(f"left out of the report: {what}: {said}")
    return {name: found for name, found in answers.items() if found}, reasons


def family_of(
    study: StudyRuns, answers: Mapping[str, Sequence[Answer]], unavailable: Mapping[str, Sequence[str]]
) -> Family:
    """Decide what may be claimed of the answers of a study."""
    accuracy, _ = accuracy_metric(study.runs)
    return page_family(answers, unavailable, study.asked, accuracy=accuracy, own_grids=own_grids(study.runs))


def all_results(study: StudyRuns) -> AllResult:
    """Answer all questions of a page and say of each test whether it may be claimed.

    Parameters
    ----------
    study : the runs and what is asked of them; every reason for a missing answer is in ``left_out``.
    """
    answers, reasons = ask_all(study)
    family = family_of(study, answers, reasons)
    return AllResult(
        study=study_name(study.runs),
        n_runs=finished(study.runs).height,
        method=_METHOD.format(adjust=_ADJUST[study.asked.adjust], exploratory=100 * family.exploratory_alpha),
        adjust=study.asked.adjust,
        primary=family.primary,
        exploratory=family.exploratory,
        exploratory_alpha=family.exploratory_alpha,
        findings=family.findings,
        left_out=tuple(text for found in reasons.values() for text in found),
        caveats=tuple(dict.fromkeys(c for found in answers.values() for answer in found for c in answer.caveats)),
    )
