"""What comes of a study, as values that a page shows: what may be claimed (``family.py``), what to choose."""

from collections.abc import Iterable, Mapping
from math import nan
from typing import Literal

from heatdrift.questions.answer import Answer, Result

Verdict = Literal["supported", "not supported", "not tested", "not answered"]


class PrimaryOutcome(Result, frozen=True, kw_only=True):
    """A primary question and what came of it.

    ``key`` is that of the claim that answers it, None where there is none. ``p_adjusted``: in a fixed sequence the
    largest p up to this question. "not tested": a question before it does not hold; "not answered": these runs cannot.
    """

    position: int
    metric: str
    term: str
    against: str | None
    key: str | None
    verdict: Verdict
    p: float
    p_adjusted: float
    sentence: str


class ExploratoryOutcome(Result, frozen=True, kw_only=True):
    """Any test of the page; ``p_adjusted`` by Benjamini and Hochberg over all of them.

    ``finding``: a supported primary question claims the same, so that it is not said again.
    """

    question: str
    key: str
    p: float
    p_adjusted: float
    supported: bool
    sentence: str
    finding: bool = False


class Family(Result, frozen=True, kw_only=True):
    """All tests of a page with what may be claimed of them.

    ``exploratory_alpha`` is the false discovery rate of what is exploratory.
    """

    adjust: Literal["fixed_sequence", "holm"] = "fixed_sequence"
    exploratory_alpha: float = 0.025
    primary: tuple[PrimaryOutcome, ...] = ()
    exploratory: tuple[ExploratoryOutcome, ...] = ()

    @property
    def n_tests(self) -> int:
        """Tests with a p."""
        return len(self.exploratory)

    @property
    def findings(self) -> tuple[str, ...]:
        """Sentences of the primary questions that hold."""
        return tuple(outcome.sentence for outcome in self.primary if outcome.verdict == "supported")

    def sentences(self, answer: Answer) -> tuple[str, ...]:
        """Sentences of the claims of one answer that hold over the page and are no findings already."""
        keys = {claim.key for claim in answer.claims}
        return tuple(o.sentence for o in self.exploratory if o.supported and not o.finding and o.key in keys)


Comparison = Literal["real", "real, within the margin", "equivalent", "undecided", "not tested", "no other method"]


class KeptMost(Result, frozen=True, kw_only=True):
    """The cell with most retention of the ``n_close`` ones whose mean validation accuracy is within the margin."""

    method: str
    lr: float
    n_seeds: int
    n_close: int
    mean: float
    ci_low: float
    ci_high: float
    retention_pct: float
    retention_ci_low: float
    retention_ci_high: float


class DecisionRow(Result, frozen=True, kw_only=True):
    """What validation chooses on one data set, what it is worth, and whether it is better than the next method.

    ``mean`` of the accuracy ``metric`` and its t interval over seeds, each seed at its own choice; ``lr`` is best in
    the mean, ``by_method`` has that rate of every method. ``difference`` to ``runner_up``, which validation ranks
    second, at its own choices; ``p_holm`` over the data sets. ``verdict``: real (p_holm < 5 %), within the ``margin``
    or not; equivalent (both one-sided tests against the margin); undecided. ``seeds_to_settle``: seeds with which a
    difference of the margin is found with 80 % power. ``dataset`` None where there is one only. Not defined or not
    measured = NaN -> null.
    """

    dataset: str | None
    method: str
    lr: float
    chosen: Mapping[str, int]
    n_seeds: int
    metric: str
    mean: float
    ci_low: float
    ci_high: float
    zero_shot_chance_pct: float
    zero_shot_base_pct: float
    zero_shot_pct: float
    zero_shot_ci_low: float
    zero_shot_ci_high: float
    retention_pct: float
    retention_ci_low: float
    retention_ci_high: float
    margin: float
    kept_most: KeptMost | None
    by_method: Mapping[str, float]
    runner_up: str | None = None
    runner_up_lr: float = nan
    difference: float = nan
    difference_ci_low: float = nan
    difference_ci_high: float = nan
    se: float = nan
    df: float = nan
    p: float = nan
    p_holm: float = nan
    verdict: Comparison = "no other method"
    seeds_to_settle: int | None = None


def decisions_of(answers: Iterable[Answer]) -> tuple[DecisionRow, ...]:
    """Return the decisions of the answers that have any."""
    return tuple(row for answer in answers for row in getattr(answer, "decisions", ()))
