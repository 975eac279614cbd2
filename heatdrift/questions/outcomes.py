"""What may be claimed of the tests of a page, as values: the page shows them, ``family.py`` decides them."""

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
