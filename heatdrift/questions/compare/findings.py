"""Sentences about two studies: the average differences, and what their runs do not say."""

from collections.abc import Sequence

from heatdrift.questions.compare.result import StudyDifferenceRow
from heatdrift.wording import counted, difference_interval, p_text, signed, t_text, with_unit


def average_sentence(row: StudyDifferenceRow, title: str, names: tuple[str, str], level: float, n_metrics: int) -> str:
    """Say the average difference of `title` with interval, df and p; that there is none where runs are equal."""
    cells = counted(row.n_cells, "common cell")
    if row.difference == 0 and not row.se > 0:
        return f"{title} is the same in {names[0]} and {names[1]}, averaged over {cells}."
    head = f"{title}: {names[0]} minus {names[1]} is {with_unit(signed(row.difference), row.unit)}"
    if not row.se > 0:
        why = "no spread between seeds" if row.df > 0 else "too few runs"
        return f"{head}, averaged over {cells}; {why} for an interval."
    holmed = f", Holm over {counted(n_metrics, 'metric')} {p_text(row.p_holm)}" if n_metrics > 1 else ""
    return (
        f"{head}, averaged over {cells} ({difference_interval(level, row.ci_low, row.ci_high)}; "
        f"{_kind(row)}, {t_text(row.df, row.t)}, {p_text(row.p)}{holmed})."
    )


def _kind(row: StudyDifferenceRow) -> str:
    if row.how == "paired":
        return f"paired over {counted(row.n_seeds, 'seed')}"
    independent = f"{counted(row.n_seeds_a, 'seed')} against {row.n_seeds_b}"
    if row.how == "mixed":
        return f"{independent}, paired in some cells"
    return f"not paired, {independent}"


def same_sentences(n_same: int, n_pairs: int) -> list[str]:
    """Say that both studies hold the same runs: their differences are 0 because they are one run."""
    if n_same == 0:
        return []
    if n_same == n_pairs:
        return [
            f"All {counted(n_same, 'pair')} are the same runs (same cell id, results and times), as in a copied store: "
            "differences are 0 because the runs are one, which is no evidence that the studies agree."
        ]
    return [
        f"{n_same} of {counted(n_pairs, 'pair')} are the same run in both studies (same cell id, results and times): "
        "their differences are 0 because the runs are one, and draw averages and intervals towards 0."
    ]


def few_sentences(rows: Sequence[StudyDifferenceRow]) -> list[str]:
    """Name runs that a paired row does not use."""
    unused = [row for row in rows if row.dataset is not None and row.unused_a + row.unused_b]
    if not unused:
        return []
    cells = {(row.backbone, row.dataset, row.method, row.lr) for row in unused}
    return [
        f"In {counted(len(cells), 'paired cell')} some runs have no partner of their seed: means and differences leave "
        "them out (columns unused)."
    ]
