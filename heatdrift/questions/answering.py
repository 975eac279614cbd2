"""Which claim of a page answers a primary question, and why none does.

What is tried, and in which order, depends on the runs and never on a result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import structs

from heatdrift.metrics import run_title
from heatdrift.primary import CORRELATION, PREPRINT, PrimarySpec, normal_term
from heatdrift.questions.claims import Claim
from heatdrift.questions.pairs import PAIR
from heatdrift.wording import capital, counted, listed, p_text

USUAL_PAIR: Final = "-".join(PAIR)


@dataclass(frozen=True, slots=True)
class AskedFirst:
    """A primary question with the claim that answers it, or the reason why none does."""

    position: int
    spec: PrimarySpec
    claim: Claim | None
    reason: str = ""

    @property
    def p(self) -> float:
        """The claim's p; NaN without one."""
        return self.claim.p if self.claim is not None else float("nan")


def with_accuracy(spec: PrimarySpec, accuracy: str, *, own: bool) -> PrimarySpec:
    """Return a question with its factors in order, one of the preprint's about the accuracy that the runs have."""
    swapped = accuracy if not own and spec.metric == PREPRINT[2].metric else spec.metric
    return PrimarySpec(metric=swapped, term=normal_term(spec.term), against=spec.against)


def answered_by(
    position: int,
    spec: PrimarySpec,
    claims: Mapping[str, tuple[str, Claim]],
    unavailable: Mapping[str, Sequence[str]],
    *,
    own_grids: bool,
) -> AskedFirst:
    """Find the claim that answers a question: what is tried, and in which order, does not depend on any result."""
    without_p = False
    for start in _sources(spec, own_grids=own_grids):
        found = [claim for key, (_, claim) in claims.items() if key == start or key.startswith(f"{start}/")]
        tested = [claim for claim in found if not np.isnan(claim.p)]
        if tested:
            return AskedFirst(position, spec, _one(tested, start))
        without_p = without_p or bool(found)
    question, title = "interaction", run_title(spec.metric)
    if spec.term == CORRELATION:
        question, title = "correlation", f"{title} against {run_title(str(spec.against))}"
    opening = f"{capital(title)}: "
    reasons = [text.removeprefix(opening) for text in unavailable.get(question, ()) if text.startswith(opening)]
    return AskedFirst(position, spec, None, " ".join(reasons) or _lacking(spec.term, without_p=without_p))


def _lacking(term: str, *, without_p: bool) -> str:
    """Say why no claim answers a question though nothing was refused."""
    if term == CORRELATION:
        return "the two metrics do not both vary, or too few seeds have both."
    words = term_words(term)
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


def question_title(spec: PrimarySpec) -> str:
    """Return the question in words, for one that no claim answers."""
    metric = run_title(spec.metric)
    if spec.term == CORRELATION:
        return f"{capital(metric)} against {run_title(str(spec.against))}"
    return f"{capital(' x '.join(term_words(spec.term)))} on {metric}"


def term_words(term: str) -> list[str]:
    """Return the factors of a term as sentences name them."""
    words = {"lr": "learning rate", "dataset": "data set"}
    return [words.get(name, name) for name in term.split(":")]
