"""Sentences about retention: which methods lose or gain on average, and what is undecided."""

from collections.abc import Sequence

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim, about_base, place_key, ranked
from heatdrift.questions.margins import MarginRow, MarginWords
from heatdrift.questions.retention.result import RetentionRow
from heatdrift.wording import counted, family_text, method_title, number, p_text, percent, signed, t_text, with_unit

POINTS = "points"


class RetentionWords:
    """Words for averages of methods on one list of data sets."""

    def __init__(self, datasets: Sequence[str], level: float) -> None:
        self.datasets, self.level = datasets, level

    def claims(self, rows: Sequence[RetentionRow]) -> tuple[Claim, ...]:
        """One claim per average."""
        return tuple(self._claim(row) for row in rows)

    def findings(self, rows: Sequence[RetentionRow]) -> tuple[str, ...]:
        """Averages that differ from 100 % after Holm's adjustment over all averages."""
        tested = [row for row in rows if row.p == row.p]
        levels: dict[str, list[str | None]] = {
            "method": [row.method for row in tested],
            "data set": [row.dataset for row in tested],
        }
        family = f"Holm over {family_text(len(tested), levels)}" if len(tested) > 1 else ""
        sentences = [
            ((row.p_holm, -abs(row.t)), self._claim(row).sentence(f"{family} {p_text(row.p_holm)}" if family else ""))
            for row in rows
            if row.p_holm < ALPHA
        ]
        return tuple(ranked(sentences, f"{len(sentences)} of {counted(len(tested), 'average')} differ from 100 %."))

    def undecided(self, rows: Sequence[RetentionRow]) -> tuple[str, ...]:
        """Say how large a loss these seeds could miss, for every average that is not told from 100 %."""
        return tuple(
            f"Mean zero-shot retention of {self._what(row)}: {_level(row.mean)} ({self._interval(row)}; "
            f"{p_text(row.p)}; {counted(row.n_seeds, 'seed')}). Undecided: these seeds cannot tell losses or gains "
            f"below {with_unit(number(row.detectable), POINTS)} from none (80 % power for one test at 5 %)."
            for row in rows
            if row.p_holm >= ALPHA
        )

    def margin_words(self, row: MarginRow) -> MarginWords:
        """Words for a method against a margin around 100 %."""
        return MarginWords(
            key=f"retention/{row.metric}",
            place=f"{place_key(row.dataset)}/{row.method}",
            subject=f"mean zero-shot retention of {method_title(row.method or '')}",
            other="100 %",
            where=self._place(row.dataset),
        )

    def _claim(self, row: RetentionRow) -> Claim:
        what = self._what(row)
        lost = row.difference < 0
        return Claim(
            key=f"retention/retention_pct/{place_key(row.dataset)}/{row.method}",
            hypothesis=about_base("retention_pct", row.dataset, row.method),
            p=row.p,
            asks=f"Mean zero-shot retention of {what}, against 100 %",
            says=f"Mean zero-shot retention of {what}, is {'below' if lost else 'above'} 100 %",
            measured=f"{_level(row.mean)}, {with_unit(signed(row.difference), POINTS)}",
            evidence=(
                self._interval(row),
                f"seed-level {t_text(row.df, row.t)}, {p_text(row.p)}",
                f"{counted(row.n_runs, 'run')}, {counted(row.n_seeds, 'seed')}",
            )
            if row.p == row.p
            else (),
        )

    def _what(self, row: RetentionRow) -> str:
        return f"{method_title(row.method)} {self._place(row.dataset)}, averaged over its learning rates"

    def _interval(self, row: RetentionRow) -> str:
        return f"{percent(self.level)} CI {number(row.ci_low)} to {number(row.ci_high)}"

    def _place(self, dataset: str | None) -> str:
        only = dataset or (self.datasets[0] if len(self.datasets) == 1 else None)
        return f"on {only}" if only else f"over {counted(len(self.datasets), 'data set')}"


def _level(mean: float) -> str:
    return f"{number(mean)} %"
