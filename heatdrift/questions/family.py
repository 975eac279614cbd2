"""What a page may claim: its primary questions share one error rate, everything else that it asks another one.

Primary questions are tested in the order in which the study names them, each at 5 %, as long as none before it
failed (a fixed sequence: Maurer, Hothorn and Lehmacher 1995), or by Holm's adjustment. The first then keeps the whole
5 %. All tests of the page together, primary or not, are adjusted by Benjamini and Hochberg (1995): what they leave is
exploratory. It has half of the rate, so that both together claim little where nothing is true
(docs/calibration_page.md). One hypothesis counts once, however many questions ask it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from heatdrift.primary import PREPRINT, QuestionsSpec
from heatdrift.questions.answer import ALPHA, Answer
from heatdrift.questions.answering import AskedFirst, answered_by, question_title, with_accuracy
from heatdrift.questions.claims import Claim
from heatdrift.questions.outcomes import ExploratoryOutcome, Family, PrimaryOutcome, Verdict
from heatdrift.stats.multiplicity import benjamini_hochberg, holm
from heatdrift.wording import counted, p_text

EXPLORATORY: Final = 0.025  # false discovery rate of what is exploratory
_NAN: Final = float("nan")


def page_family(
    answers: Mapping[str, Sequence[Answer]],
    unavailable: Mapping[str, Sequence[str]],
    asked: QuestionsSpec,
    *,
    accuracy: str,
    own_grids: bool,
) -> Family:
    """Decide what a page may claim.

    Parameters
    ----------
    answers : question -> its answers. unavailable : question -> why an answer is missing, in sentences.
    asked : the study's questions; without primary ones those of the preprint.
    accuracy : the accuracy that these runs have; it takes the place of the preprint's test accuracy.
    own_grids : whether methods have learning rates of their own (`own_grids`).
    """
    every = [(name, claim) for name, found in answers.items() for answer in found for claim in answer.claims]
    claims = {claim.key: (name, claim) for name, claim in reversed(every)}
    primary = [
        answered_by(i, with_accuracy(spec, accuracy, own=bool(asked.primary)), claims, unavailable, own_grids=own_grids)
        for i, spec in enumerate(asked.primary or PREPRINT, start=1)
    ]
    outcomes = _outcomes(primary, asked.adjust)
    held = {_hypothesis(claims[o.key][1]) for o in outcomes if o.verdict == "supported" and o.key is not None}
    tested = _once(every)
    adjusted = benjamini_hochberg([claim.p for _, claim in tested]).tolist()
    over = f"Benjamini-Hochberg over the {counted(len(tested), 'test')} of this page"
    return Family(
        adjust=asked.adjust,
        exploratory_alpha=EXPLORATORY,
        primary=tuple(outcomes),
        exploratory=tuple(
            ExploratoryOutcome(
                question=name,
                key=claim.key,
                p=claim.p,
                p_adjusted=p,
                supported=p < EXPLORATORY,
                sentence=claim.sentence(f"{over} {p_text(p)}"),
                finding=_hypothesis(claim) in held,
            )
            for (name, claim), p in zip(tested, adjusted, strict=True)
        ),
    )


def _hypothesis(claim: Claim) -> str:
    return claim.hypothesis or claim.key


def _once(claims: Sequence[tuple[str, Claim]]) -> list[tuple[str, Claim]]:
    """Return the claims that have a p, of each hypothesis the first: which that is does not depend on any result."""
    tested: dict[str, tuple[str, Claim]] = {}
    for name, claim in claims:
        if not np.isnan(claim.p):
            tested.setdefault(_hypothesis(claim), (name, claim))
    return list(tested.values())


def _outcomes(asked: Sequence[AskedFirst], adjust: str) -> list[PrimaryOutcome]:
    adjusted = _adjusted([question.p for question in asked], adjust)
    n = sum(question.claim is not None for question in asked)
    outcomes = []
    broken: int | None = None  # the first question that does not hold, in a fixed sequence
    for question, p in zip(asked, adjusted, strict=True):
        verdict, sentence = _told(question, p, adjust, n, broken)
        if adjust == "fixed_sequence" and verdict == "not supported":
            broken = question.position
        outcomes.append(
            PrimaryOutcome(
                position=question.position,
                metric=question.spec.metric,
                term=question.spec.term,
                against=question.spec.against,
                key=question.claim.key if question.claim else None,
                verdict=verdict,
                p=question.p,
                p_adjusted=p,
                sentence=sentence,
            )
        )
    return outcomes


def _adjusted(p_values: Sequence[float], adjust: str) -> list[float]:
    """Adjusted p of the questions that have one; in a fixed sequence the largest up to each."""
    if adjust == "holm":
        return [float(p) for p in holm(p_values)]
    known = np.array([-1.0 if np.isnan(p) else p for p in p_values])
    largest = np.maximum.accumulate(known) if known.size else known
    return [_NAN if np.isnan(p) else float(top) for p, top in zip(p_values, largest, strict=True)]


def _told(question: AskedFirst, p: float, adjust: str, n: int, broken: int | None) -> tuple[Verdict, str]:
    if question.claim is None:
        return "not answered", f"{question_title(question.spec)}: these runs cannot answer it: {question.reason}"
    if broken is not None:
        verdict = f"not tested, because question {broken} before it does not hold"
        return "not tested", question.claim.without_claim(verdict, "described only")
    if adjust == "holm":
        how = f"Holm over the {counted(n, 'primary question')} {p_text(p)}"
    else:
        held = "none before it failed" if question.position > 1 else "it comes first"
        how = f"primary question {question.position}, tested at 5 % because {held}"
    if p < ALPHA:
        return "supported", question.claim.sentence(how)
    # its interval may exclude zero all the same, where the test that decides is another one
    return "not supported", question.claim.without_claim(f"not supported, {p_text(p)}", how)
