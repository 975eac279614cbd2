"""Claims of a model of any table, one per term, and the sentences of those that hold after Holm over its terms."""

import re
from collections.abc import Sequence

import numpy as np

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim
from heatdrift.questions.model.result import Contrast, DdfMethod, TermTest
from heatdrift.stats.multiplicity import holm
from heatdrift.wording import f_text, p_text, signed

_WORDS = {"kenward_roger": "Kenward-Roger", "satterthwaite": "Satterthwaite"}

# C(rank) and C(Q("rank")) are the factor rank to a reader
_IN_C = re.compile(r"""\bC\((?:Q\(["'](?P<quoted>[^"']*)["']\)|(?P<name>\w+))\)""")


def model_claims(
    response: str, tests: Sequence[TermTest], contrasts: Sequence[Contrast], ddf: DdfMethod
) -> tuple[Claim, ...]:
    """One claim per term, by the larger p of the model's test and of the seed-level one where there is one.

    The model's test takes an effect to be equal in all groups; the seed-level test does not, so that a claim needs both
    to agree.
    """
    claims = []
    for test in (one for one in tests if one.method == ddf):
        beside = next((t for t in tests if t.term == test.term and t.method == "strata" and not np.isnan(t.p)), None)
        p = test.p if beside is None else max(test.p, beside.p)
        evidence = [f"{_WORDS[ddf]} {f_text(test.df_num, test.df_den, test.f)}, {p_text(test.p)}"]
        if beside is not None:
            evidence.append(
                f"over {beside.n_clusters} levels of {beside.cluster} "
                f"{f_text(beside.df_num, beside.df_den, beside.f)}, {p_text(beside.p)}"
            )
        crossed = ":" in test.term
        plain = _IN_C.sub(lambda found: found["name"] or found["quoted"], test.term)
        named = plain.replace(":", " and ")
        asks = f"{'Interaction' if crossed else 'Effect'} of {named} on {response}"
        own = [c for c in contrasts if c.spec == plain and not c.at]
        claims.append(
            Claim(
                key=f"model/{response}/{test.term}",
                p=p,
                asks=asks,
                says=(
                    f"The effects of {named} on {response} depend on each other"
                    if crossed
                    else f"{response} depends on {named}"
                ),
                measured=f"{own[0].contrast} {signed(own[0].estimate)}" if len(own) == 1 else "",
                evidence=tuple(evidence),
            )
        )
    return tuple(claims)


def model_findings(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return the sentences of the terms that hold after Holm's adjustment."""
    adjusted = holm([claim.p for claim in claims]).tolist()
    family = sum(not np.isnan(claim.p) for claim in claims)
    return tuple(
        claim.sentence(f"Holm over the {family} terms {p_text(p)}" if family > 1 else "")
        for claim, p in zip(claims, adjusted, strict=True)
        if p < ALPHA
    )
