"""Sentences about power: the smallest detectable difference, what more seeds would buy, how sure the SD is."""

from collections.abc import Sequence

from heatdrift.metrics import Column
from heatdrift.questions.power.result import PowerRow
from heatdrift.wording import counted, degrees, difference_unit, method_title, number, percent, with_unit


def power_findings(
    rows: Sequence[PowerRow],
    column: Column,
    datasets: Sequence[str],
    method_a: str,
    method_b: str,
    seeds: int,
    observed: int,
    level: float,
    target: float,
) -> tuple[str, ...]:
    """Return the sentences for `seeds` planned and `observed` seeds; none where the average has no test."""
    unit = difference_unit(column.unit)
    single = [row for row in rows if row.lr is not None and row.n_seeds == seeds]
    averaged = [*(["learning rates"] if single else []), *(["data sets"] if len(datasets) > 1 else [])]
    overall = {row.n_seeds: row for row in rows if row.dataset is None and row.lr is None}
    if seeds not in overall:
        return ()
    asked = overall[seeds]
    over = f", averaged over {' and '.join(averaged)}," if averaged else ""
    sentences = [
        f"With {counted(seeds, 'seed')} a seed-level test finds a difference {method_title(method_a)} minus "
        f"{method_title(method_b)} in {column.title}{over} with "
        f"{percent(target)} power when it is at least {with_unit(number(asked.detectable), unit)} "
        f"(SD between seeds {number(asked.sd)} from {counted(observed, 'seed')}; at the ends of the SD's "
        f"{percent(level)} interval {number(asked.ci_low)} to {number(asked.ci_high)})."
    ]
    more = [overall[s] for s in sorted(overall) if s > seeds][:2]
    if more:
        shown = ", ".join(f"{row.n_seeds} seeds {with_unit(number(row.detectable), unit)}" for row in more)
        sentences.append(f"More seeds would lower that to: {shown}, if the SD is what it seems.")
    if single:
        ordered = sorted(single, key=lambda row: row.detectable)
        sentences.append(
            f"At one learning rate it is between {number(ordered[0].detectable)} and "
            f"{with_unit(number(ordered[-1].detectable), unit)}, before any adjustment for several learning rates."
        )
    if asked.sd_df < 9:
        sentences.append(
            f"The SD rests on {degrees(asked.sd_df)} degrees of freedom: it may be "
            f"{number(asked.sd_ci_high / asked.sd)} times as large. Plan with the upper end."
        )
    return tuple(sentences)
