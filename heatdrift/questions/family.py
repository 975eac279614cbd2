"""What a page may claim: its primary questions share one error rate, everything else that it asks another one.

Primary questions are tested in the order in which the study names them, each at 5 %, as long as none before it
failed (a fixed sequence: Maurer, Hothorn and Lehmacher 1995), or by Holm's adjustment. The first then keeps the whole
5 %. All tests of the page together, primary or not, are adjusted by Benjamini and Hochberg (1995): what they leave is
exploratory. It has half of the rate, so that both together claim little where nothing is true
(docs/calibration_page.md). One hypothesis counts once, however many questions ask it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from msgspec import structs

from heatdrift.metrics import run_title
from heatdrift.primary import CORRELATION, PREPRINT, PrimarySpec, QuestionsSpec, normal_term
from heatdrift.questions.answer import ALPHA, Answer, Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.outcomes import ExploratoryOutcome, Family, PrimaryOutcome, Verdict
from heatdrift.questions.pairs import PAIR
from heatdrift.questions.tables import Grid, grid, limits
from heatdrift.stats.multiplicity import benjamini_hochberg, holm
from heatdrift.wording import capital, counted, listed, p_text

EXPLORATORY: Final = 0.025  # false discovery rate of what is exploratory
USUAL_PAIR: Final = "-".join(PAIR)
_NAN: Final = float("nan")


class AllResult(Result, frozen=True, kw_only=True):
    """Every question of a page in one table: what may be claimed, and what cannot be answered."""

    study: str | None
    n_runs: int
    method: str
    adjust: Literal["fixed_sequence", "holm"]
    primary: tuple[PrimaryOutcome, ...]
    exploratory: tuple[ExploratoryOutcome, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    caveats: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the primary questions, then all tests of the page."""
        primary: list[dict[str, object]] = [
            {
                "kind": "primary", "question": f"{o.term} on {o.metric}", "key": o.key, "p": o.p,
                "p_adjusted": o.p_adjusted, "verdict": o.verdict,
            }
            for o in self.primary
        ]  # fmt: skip
        others: list[dict[str, object]] = [
            {
                "kind": "exploratory", "question": o.question, "key": o.key, "p": o.p, "p_adjusted": o.p_adjusted,
                "verdict": "supported" if o.supported else "not supported",
            }
            for o in self.exploratory
        ]  # fmt: skip
        return [*primary, *others]

    def shown(self) -> Iterator[str | Grid]:
        """Yield the primary questions in words, then all tests, those that hold first."""
        yield f"{self.n_runs} runs"
        yield from limits(self.left_out, self.caveats)
        yield f"method: {self.method}"
        yield "primary questions"
        yield from (f"  {o.position}. {o.verdict}: {o.sentence}" for o in self.primary)
        rows = sorted(self.exploratory, key=lambda o: o.p_adjusted)
        title = f"all tests; p_adjusted: Benjamini-Hochberg over {counted(len(rows), 'test')}, supported below "
        title += f"{EXPLORATORY:g}"
        yield grid(rows, "key p p_adjusted supported", title=title)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A primary question with the claim that answers it, or the reason why none does."""

    position: int
    spec: PrimarySpec
    claim: Claim | None
    reason: str = ""

    @property
    def p(self) -> float:
        return self.claim.p if self.claim is not None else _NAN


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
        _resolved(i, _with_accuracy(spec, accuracy, own=bool(asked.primary)), claims, unavailable, own_grids=own_grids)
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


def _with_accuracy(spec: PrimarySpec, accuracy: str, *, own: bool) -> PrimarySpec:
    swapped = accuracy if not own and spec.metric == PREPRINT[2].metric else spec.metric
    return PrimarySpec(metric=swapped, term=normal_term(spec.term), against=spec.against)


def _resolved(
    position: int,
    spec: PrimarySpec,
    claims: Mapping[str, tuple[str, Claim]],
    unavailable: Mapping[str, Sequence[str]],
    *,
    own_grids: bool,
) -> _Asked:
    """Find the claim that answers a question: what is tried, and in which order, does not depend on any result."""
    without_p = False
    for start in _sources(spec, own_grids=own_grids):
        found = [claim for key, (_, claim) in claims.items() if key == start or key.startswith(f"{start}/")]
        tested = [claim for claim in found if not np.isnan(claim.p)]
        if tested:
            return _Asked(position, spec, _one(tested, start))
        without_p = without_p or bool(found)
    question, title = "interaction", run_title(spec.metric)
    if spec.term == CORRELATION:
        question, title = "correlation", f"{title} against {run_title(str(spec.against))}"
    opening = f"{capital(title)}: "
    reasons = [text.removeprefix(opening) for text in unavailable.get(question, ()) if text.startswith(opening)]
    return _Asked(position, spec, None, " ".join(reasons) or _lacking(spec.term, without_p=without_p))


def _lacking(term: str, *, without_p: bool) -> str:
    """Say why no claim answers a question though nothing was refused."""
    if term == CORRELATION:
        return "the two metrics do not both vary, or too few seeds have both."
    words = _words(term)
    if without_p:
        return f"there is no test of it, which takes two seeds or more with runs at several {'s and '.join(words)}s."
    verb = {1: "does not", 2: "do not both"}.get(len(words), "do not all")
    return f"{listed(words)} {verb} vary in the runs that a model can use."


def _sources(spec: PrimarySpec, *, own_grids: bool) -> tuple[str, ...]:
    """Keys of the claims that can answer a question, the best one first."""
    if spec.term == CORRELATION:
        start = f"correlation/{spec.metric}/{spec.against}"
        return f"{start}/within", f"{start}/pooled"
    model = f"interaction/{spec.metric}/{spec.term}"
    if spec.term != "method":
        return (model,)
    # methods without a seed in common have no test in the model; those with learning rates of their own are compared
    # at the one that validation chooses for each
    best = f"best/{spec.metric}/all"
    return (best, model) if own_grids else (model, f"paired/{spec.metric}/all", best)


def _one(found: Sequence[Claim], start: str) -> Claim:
    """Return the claim about the whole term; else that of the usual pair of methods; else the clearest, adjusted."""
    for key in (start, f"{start}/{USUAL_PAIR}"):
        for claim in found:
            if claim.key == key:
                return claim
    best = min(found, key=lambda claim: claim.p)
    if len(found) == 1:
        return best
    p = min(1.0, best.p * len(found))
    chosen = f"Bonferroni over {counted(len(found), 'pair')} of methods {p_text(p)}"
    return structs.replace(best, p=p, evidence=(*best.evidence, chosen))


def _outcomes(asked: Sequence[_Asked], adjust: str) -> list[PrimaryOutcome]:
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


def _told(question: _Asked, p: float, adjust: str, n: int, broken: int | None) -> tuple[Verdict, str]:
    if question.claim is None:
        return "not answered", f"{_title(question.spec)}: these runs cannot answer it: {question.reason}"
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
    return "not supported", question.claim.without_claim("not supported", how)


def _title(spec: PrimarySpec) -> str:
    """Return the question in words, for one that no claim answers."""
    metric = run_title(spec.metric)
    if spec.term == CORRELATION:
        return f"{capital(metric)} against {run_title(str(spec.against))}"
    return f"{capital(' x '.join(_words(spec.term)))} on {metric}"


def _words(term: str) -> list[str]:
    """Return the factors of a term as sentences name them."""
    words = {"lr": "learning rate", "dataset": "data set"}
    return [words.get(name, name) for name in term.split(":")]
