"""Claims of an interaction analysis, one per term, and the sentences of those that its own adjustment leaves.

A sentence is a claim, and a table of seven terms makes seven chances to claim: in the answer of the command a term gets
a sentence only when its seed-level p, with Box's correction and adjusted by Holm over all terms, is below 0.05. A page
adjusts over all that it asks (``family.py``). The sentences describe these runs; they do not say why.
"""

from collections.abc import Sequence

import numpy as np

from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.claims import Claim
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import Contrast
from heatdrift.questions.interaction.sensitivity import terms_that_cross
from heatdrift.questions.interaction.term_words import FEW_SEEDS, TermWords
from heatdrift.stats.multiplicity import holm
from heatdrift.wording import (
    p_text,
)


def interaction_claims(
    model: InteractionModel,
    column: Column,
    effects: tuple[Contrast, ...],
    conf_level: float,
    checks: Sequence[Check] = (),
) -> tuple[Claim, ...]:
    """One claim per term, main effects first; with three methods or more one per pair of them.

    Of `checks` they quote the lack of fit, and whether a term's p crosses 5 % without a single cell or seed.
    """
    writer = TermWords(
        model, column, model.seed_tests, conf_level, _on_curve(model, checks),
        terms_that_cross(checks, "leave_one_cell_out"),
        # without one of three seeds nearly nothing passes: that would mark every finding of a small study
        terms_that_cross(checks, "leave_one_seed_out") if len(model.seed_names) > FEW_SEEDS else (),
    )  # fmt: skip
    claims: list[Claim] = []
    for term in model.design.terms:
        names = term.split(":")
        if len(names) == 1:
            claims.append(writer.main_effect(names[0]))
            if names[0] == "method" and model.seed_tests[term].df_num > 1:
                claims += writer.method_pairs(effects)
        elif len(names) == 2:
            claims.append(writer.two_way(names[0], names[1]))
        else:
            claims.append(writer.three_way(term))
    return tuple(claims)


def interaction_findings(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return the sentences of the terms that hold after Holm's adjustment over all terms of the model.

    Pairs of methods follow their term, adjusted over the pairs.
    """
    terms = [claim for claim in claims if not claim.key.startswith(_pairs_of(claims))]
    pairs = [claim for claim in claims if claim not in terms]
    found: list[str] = []
    for claim, text in _holding(terms, "Holm over the {n} terms of this model"):
        found.append(text)
        if claim.key.endswith("/method"):
            found += [text for _, text in _holding(pairs, "Holm over {n} pairs of methods")]
    return tuple(found)


def _pairs_of(claims: Sequence[Claim]) -> str:
    """What the keys of pairs of methods start with."""
    metric = claims[0].key.split("/")[1] if claims else ""
    return f"interaction/{metric}/method/"


def _holding(claims: Sequence[Claim], words: str) -> list[tuple[Claim, str]]:
    adjusted = holm([claim.p for claim in claims]).tolist()
    family = sum(not np.isnan(claim.p) for claim in claims)
    return [
        (claim, claim.sentence(f"{words.format(n=family)} {p_text(p)}" if family > 1 else ""))
        for claim, p in zip(claims, adjusted, strict=True)
        if p < ALPHA
    ]


def _on_curve(model: InteractionModel, checks: Sequence[Check]) -> str:
    """Words for values that are read off a fitted line or curve in log10(lr); empty where each lr has its own mean."""
    factor = model.factor("lr")
    if factor is None or not factor.numeric:
        return ""
    words = f", on the fitted {'line' if len(factor.labels) == 1 else 'curve'}"
    for check in checks:
        if check.name == "lack_of_fit" and check.flag:
            values = [check.values[name] for name in ("p_box", "p_kenward_roger")]
            p = next(float(v) for v in values if isinstance(v, float) and v < ALPHA)
            words += f", which does not fit (lack-of-fit {p_text(p)})"
    return words
