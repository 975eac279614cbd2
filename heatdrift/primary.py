"""The primary questions of a study: what it asks first, in which order, and how its questions share one error rate.

Twenty tests of studies in which nothing is true give a false finding on every second page. So a study names the few
questions that it is about before anybody looks; they alone are findings, and together they err in one study of twenty.
A study that names none has those of the preprint.
"""

from typing import Final, Literal

from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.metrics import run_column
from heatdrift.records import Strict

FACTORS: Final = ("lr", "method", "dataset")
CORRELATION: Final = "correlation"
TERMS: Final = (*FACTORS, "lr:method", "lr:dataset", "method:dataset", "lr:method:dataset", CORRELATION)


class PrimarySpec(Strict, frozen=True, kw_only=True):
    """One question that a study asks first: an effect on a metric, or how the metric goes together with another.

    ``term`` is `lr`, `method`, `dataset` or several of them joined by `:`; or `correlation`, with the metric
    ``against``.
    """

    metric: str
    term: str
    against: str | None = None


class QuestionsSpec(Strict, frozen=True, kw_only=True):
    """What a study asks: its primary questions in their order, how they share 5 %, and what counts as equal.

    ``adjust``: `fixed_sequence` tests each question at 5 % as long as all before it hold, so that the first has all of
    the 5 %; `holm` is Holm's adjustment, where no question is the first. ``margin``: the largest difference, in points,
    that is none in practice; > 0. ``primary`` empty = `PREPRINT`.
    """

    primary: tuple[PrimarySpec, ...] = ()
    adjust: Literal["fixed_sequence", "holm"] = "fixed_sequence"
    margin: float | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of the primary questions that are named, each once."""
        named = [(q.metric, q.against) for q in self.primary]
        return tuple(dict.fromkeys(name for pair in named for name in pair if name is not None))


# Method on retention first: it is what people fine-tune for. Where no test split was read, validation accuracy takes
# the place of the test accuracy.
PREPRINT: Final = (
    PrimarySpec(metric="retention_pct", term="method"),
    PrimarySpec(metric="delta_entropy_pct", term="lr"),
    PrimarySpec(metric="test_acc_pct", term="lr:method"),
    PrimarySpec(metric="retention_pct", term=CORRELATION, against="delta_erf95_pct"),
)


def check_questions(asked: QuestionsSpec, where: str) -> None:
    """Refuse a question that no run could ever answer.

    Raises
    ------
    UnknownNameError
        An unknown metric or term; the nearest is named.
    StudyError
        A margin that is not positive; a correlation without a second metric, or an effect with one; the same twice.
    """
    if asked.margin is not None and not 0 < asked.margin < float("inf"):
        raise StudyError(f"{where}: [questions] margin must be above 0, got {asked.margin:g}", hint="margin = 2.0")
    seen: set[tuple[str, str, str | None]] = set()
    for question in asked.primary:
        run_column(question.metric)
        term = normal_term(question.term)
        if term not in TERMS:
            raise UnknownNameError("term", question.term, TERMS, where=f"[[questions.primary]] of {where}")
        if term == CORRELATION and (question.against is None or question.against == question.metric):
            problem = f"{where}: a correlation of {question.metric} needs another metric"
            raise StudyError(problem, hint='against = "delta_erf95_pct"')
        if term != CORRELATION and question.against is not None:
            problem = f"{where}: the effect of {term} on {question.metric} has no second metric"
            raise StudyError(problem, hint='term = "correlation", or without `against`')
        if question.against is not None:
            run_column(question.against)
        key = (question.metric, term, question.against)
        if key in seen:
            raise StudyError(f"{where}: {term} on {question.metric} is asked twice", hint="name each question once")
        seen.add(key)


def normal_term(term: str) -> str:
    """Return a term with its factors in the order of models: `method:lr` is `lr:method`."""
    names = [name.strip() for name in term.split(":")]
    if len(set(names)) < len(names) or not set(names) <= set(FACTORS):
        return term
    return ":".join(name for name in FACTORS if name in names)
