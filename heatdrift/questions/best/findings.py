"""Sentences about methods at their own best learning rates: what holds after adjustment, with what was chosen."""

from collections.abc import Mapping, Sequence

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.best.result import BestRow, ChoiceRow, chosen_text
from heatdrift.questions.claims import Claim, about_methods, place_key, ranked
from heatdrift.wording import counted, difference_interval, family_text, method_title, p_text, signed, t_text, with_unit


def best_claims(
    rows: Sequence[BestRow],
    choices: Sequence[ChoiceRow],
    titles: Mapping[str, str],
    datasets: Sequence[str],
    level: float,
) -> tuple[Claim, ...]:
    """One claim per row: a difference of two methods on one data set or over all."""
    rates = {c.lr_by_mean for c in choices}
    one_lr = len(rates) == 1 and all(c.n_lrs == 1 for c in choices)  # nothing was chosen: a plain comparison
    return tuple(_claim(row, _chosen(row, choices), titles[row.metric], datasets, level, one_lr=one_lr) for row in rows)


def best_findings(rows: Sequence[BestRow], claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return a sentence per difference that holds after Holm's adjustment over all rows."""
    tested = [row for row in rows if row.p == row.p]
    by: dict[str, list[str | None]] = {
        "metric": [row.metric for row in tested],
        "data set": [row.dataset for row in tested],
        "pair of methods": [f"{row.method_a} {row.method_b}" for row in tested],
    }
    family = f"Holm over {family_text(len(tested), by)}" if len(tested) > 1 else ""
    sentences = [
        ((row.p_holm, -abs(row.t)), claim.sentence(f"{family} {p_text(row.p_holm)}" if family else ""))
        for row, claim in zip(rows, claims, strict=True)
        if row.p_holm < ALPHA
    ]
    summary = f"{len(sentences)} of {counted(len(tested), 'difference')} hold after Holm's adjustment."
    return tuple(ranked(sentences, summary))


def _claim(row: BestRow, chosen: str, title: str, datasets: Sequence[str], level: float, *, one_lr: bool) -> Claim:
    a, b = method_title(row.method_a), method_title(row.method_b)
    only = row.dataset or (datasets[0] if len(datasets) == 1 else None)
    place = f"on {only}" if only else f"over {len(datasets)} data sets"
    return Claim(
        key=f"best/{row.metric}/{place_key(row.dataset)}/{row.method_a}-{row.method_b}",
        hypothesis=about_methods(row.metric, row.dataset, row.method_a, row.method_b) if one_lr else "",
        p=row.p,
        asks=f"{a} against {b} in {title} {place}, each at its own best learning rate",
        says=f"Each at its own best learning rate, {a} has {'higher' if row.difference > 0 else 'lower'} {title} than "
        f"{b} {place}",
        measured=f"difference {with_unit(signed(row.difference), row.unit)}",
        evidence=(
            difference_interval(level, row.ci_low, row.ci_high),
            f"seed-level {t_text(row.df, row.t)}, {p_text(row.p)}",
            _seeds(row),
        ),
        warning=chosen,
    )


def _seeds(row: BestRow) -> str:
    if row.n_only_a or row.n_only_b:
        apart = f"{row.n_only_a} and {row.n_only_b} of one method"
        return f"{counted(row.n_linked, 'seed')} of both methods, {apart}" if row.n_linked else f"seeds {apart}"
    return counted(row.n_linked, "seed")


def _chosen(row: BestRow, choices: Sequence[ChoiceRow]) -> str:
    """Return what was chosen, where the sentence is about one data set."""
    texts = [
        f"{method_title(choice.method)} {chosen_text(choice)}"
        for name in (row.method_a, row.method_b)
        for choice in choices
        if (choice.method, choice.metric, choice.dataset) == (name, row.metric, row.dataset)
    ]
    return f"; chosen in seeds: {'; '.join(texts)}" if texts else ""
