"""The check that sets each contrast of the model against its seed-level twin, which pools no variance."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.claims import MANY
from heatdrift.questions.interaction.result import Contrast
from heatdrift.wording import counted, learning_rate, method_title, number, p_text

_NAMED: Final = 6  # contrasts named where many differ


def twin_check(contrasts: Sequence[Contrast], robust: Sequence[Contrast]) -> Check:
    """Compare the model's contrasts, which pool one residual variance, with the seed-level ones, which pool none."""
    pairs = list(zip(contrasts, robust, strict=True))
    ratios = [b.se / a.se for a, b in pairs if a.se > 0 and not np.isnan(b.se)]
    several = len({(a.method_a, a.method_b) for a in contrasts}) > 1

    def place(row: Contrast) -> str:
        methods = f"{method_title(row.method_a)} minus {method_title(row.method_b)}" if several else None
        parts = (row.dataset, None if row.lr is None else f"lr {learning_rate(row.lr)}", methods)
        return ", ".join(str(part) for part in parts if part is not None)

    changed = [
        f"{place(a)} (model {p_text(a.p_holm)}, seed-level {p_text(b.p_holm)})"
        for a, b in pairs
        if (a.p_holm < ALPHA) != (b.p_holm < ALPHA)
    ]
    values: dict[str, float | int | str | None] = {"n_contrasts": len(pairs), "n_changed": len(changed)}
    if not ratios:
        sentence = "There is no contrast of methods that the seeds can test by themselves."
        return Check(name="variance_twin", flag=False, values=values, sentence=sentence)
    values |= {"se_ratio_min": min(ratios), "se_ratio_max": max(ratios)}
    sentence = (
        "Each difference of two methods was also tested against its own spread over seeds instead of the model's "
        f"common one: its standard error is then {number(min(ratios))} to {number(max(ratios))} times the model's"
    )
    sentence += (
        f", and after Holm over {counted(len(pairs), 'contrast')} the answer at 5 % differs for "
        + (f"{len(changed)} of them, first " if len(changed) > MANY else "")
        + "; ".join(changed[:_NAMED] if len(changed) > MANY else changed)
        + ". Read the seed-level p there; above 5 % it is no proof of no difference, with so few seeds."
        if changed
        else f", and after Holm over {counted(len(pairs), 'contrast')} no answer at 5 % differs."
    )
    return Check(name="variance_twin", flag=bool(changed), values=values, sentence=sentence)
