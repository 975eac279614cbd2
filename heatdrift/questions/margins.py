"""Answers about a margin: equivalent within it, not inferior by more than it, or undecided; none is "no difference".

Two one-sided tests at the seed level (``stats/equivalence.py``) of an estimate that a question has made already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from heatdrift.questions.answer import ALPHA, Result
from heatdrift.questions.claims import Claim
from heatdrift.stats.equivalence import MarginTest, adjusted_pairs, decision, margin_test
from heatdrift.wording import counted, difference_interval, number, p_text, signed, t_text, with_unit

# metrics of which more is better; of any other, "inferior" would say which way is good
MORE_IS_BETTER: Final = ("retention_pct", "zero_shot_pct", "val_acc_pct", "test_acc_pct")


class MarginRow(Result, frozen=True, kw_only=True):
    """An estimate, as a difference, against the margin ``low`` to ``high`` (two one-sided tests).

    ``p_low``: of "the truth is ``low`` or less"; ``p_high``: of "``high`` or more"; ``p``: of equivalence, the larger.
    The adjusted ones are over all rows of the answer, which ``decision`` rests on: equivalent, not inferior, not
    superior, inferior or superior (beyond the margin), undecided; not tested where there is no seed-level test (p NaN
    -> null). ``ci_low`` and ``ci_high``: the 90 % interval, whose place decides. ``lr`` None = averaged, ``dataset``
    None = over all data sets or the only one.
    """

    dataset: str | None
    method: str | None
    lr: float | None
    metric: str
    unit: str
    low: float
    high: float
    estimate: float
    se: float
    df: float
    p_difference: float
    p_low: float
    p_high: float
    p: float
    p_low_adjusted: float
    p_high_adjusted: float
    ci_low: float
    ci_high: float
    decision: str

    @property
    def test(self) -> MarginTest:
        """The row as the engine sees it."""
        return MarginTest(self.low, self.high, self.p_low, self.p_high, self.ci_low, self.ci_high)


def margin_row(
    margin: tuple[float, float],
    *,
    metric: str,
    unit: str,
    estimate: float,
    se: float,
    df: float,
    p_difference: float,
    dataset: str | None,
    method: str | None = None,
    lr: float | None = None,
) -> MarginRow:
    """Test one estimate against a margin; not adjusted yet (`adjusted_rows`)."""
    test = margin_test(estimate, se, df, *margin, ALPHA)
    return MarginRow(
        dataset=dataset, method=method, lr=lr, metric=metric, unit=unit, low=margin[0], high=margin[1],
        estimate=estimate, se=se, df=df, p_difference=p_difference, p_low=test.p_low, p_high=test.p_high, p=test.p,
        p_low_adjusted=float("nan"), p_high_adjusted=float("nan"), ci_low=test.ci_low, ci_high=test.ci_high,
        decision="undecided",
    )  # fmt: skip


def adjusted_rows(rows: Sequence[MarginRow]) -> tuple[MarginRow, ...]:
    """Return the rows with p adjusted over all of them, and what these decide."""
    low, high = adjusted_pairs([row.p_low for row in rows], [row.p_high for row in rows])
    n_tests = sum(row.p == row.p for row in rows)
    return tuple(
        replace(
            row,
            p_low_adjusted=float(a),
            p_high_adjusted=float(b),
            decision=decision(row.test, float(a), float(b), ALPHA, n_tests) if row.p == row.p else "not tested",
        )
        for row, a, b in zip(rows, low, high, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginWords:
    """Words for one row.

    Attributes
    ----------
    key : start of the claims' keys, `paired/retention_pct`; `place` : its end, `all/lora_r8-full_ft`.
    subject, other : what is compared with what: `LoRA r=8` with `Full FT`, `mean retention of LoRA r=8` with `100 %`.
    where : `in test accuracy over 2 data sets`.
    """

    key: str
    place: str
    subject: str
    other: str
    where: str

    def claims(self, row: MarginRow) -> tuple[Claim, ...]:
        """Two claims: equivalent within the margin (both tests), and not inferior by more than it (the lower one)."""
        return (
            Claim(
                key=f"{self.key}/equivalent/{self.place}",
                p=row.p,
                asks=f"Whether {self.subject} and {self.other} are equivalent within {_margin(row)} {self.where}",
                says=f"{self._subject} and {self.other} are equivalent within {_margin(row)} {self.where}",
                measured=_measured(row),
                evidence=_evidence(row),
                warning=_against_zero(row),
            ),
            Claim(
                key=f"{self.key}/not_inferior/{self.place}",
                p=row.p_low,
                asks=f"Whether {self.subject} is {self._by(row)}",
                says=f"{self._subject} is not {self._by(row)}",
                measured=_measured(row),
                evidence=_evidence(row),
                warning="" if row.p < ALPHA else _against_zero(row),
            ),
        )

    def finding(self, row: MarginRow, n_rows: int) -> str:
        """Return the sentence of a row that is equivalent or not inferior by its adjusted p; else empty."""
        equivalent, not_inferior = self.claims(row)
        if row.decision == "equivalent":
            return equivalent.sentence(_adjusted(max(row.p_low_adjusted, row.p_high_adjusted), n_rows))
        if row.decision == "not inferior":
            return not_inferior.sentence(_adjusted(row.p_low_adjusted, n_rows))
        return ""

    def described(self, row: MarginRow, n_rows: int) -> str:
        """Return the sentence of a row that supports neither; empty where one is supported."""
        opening = f"{self._subject} against {self.other} {self.where}, margin {_margin(row)}"
        if row.p != row.p:
            known = row.estimate == row.estimate
            same = f"{_measured(row)}, and nothing varies between seeds: " if known else ""
            return f"{opening}: not tested, {same}there is no seed-level test."
        if row.decision in ("equivalent", "not inferior"):
            return ""
        beyond = row.decision in ("inferior", "superior")
        verdict = "not equivalent, the difference is beyond the margin" if beyond else "undecided"
        if row.decision == "not superior":
            more = f"{_side(row, below=False)} by more than {_size(row, below=False)}"
            verdict += (
                f" whether it is {_side(row, below=True)} by more than {_size(row, below=True)} ({more} is ruled out)"
            )
        elif not beyond:
            verdict += ", differences beyond the margin are not ruled out"
        holm = "" if beyond else _adjusted(max(row.p_low_adjusted, row.p_high_adjusted), n_rows)
        evidence = "; ".join([*_evidence(row), *([holm] if holm else [])])
        return f"{opening}: {verdict}: {_measured(row)} ({evidence}){'' if beyond else _against_zero(row)}."

    def _by(self, row: MarginRow) -> str:
        """Return `inferior by more than 2.00 points to Full FT in test accuracy on pets`."""
        link = "to" if row.metric in MORE_IS_BETTER else "than"
        return f"{_side(row, below=True)} by more than {_size(row, below=True)} {link} {self.other} {self.where}"

    @property
    def _subject(self) -> str:
        return self.subject[:1].upper() + self.subject[1:]


def margin_sentences(
    rows: Sequence[MarginRow], words: Mapping[int, MarginWords]
) -> tuple[tuple[Claim, ...], tuple[str, ...], tuple[str, ...]]:
    """Return claims, findings and descriptions of rows; `words` has those of each row by its position."""
    tested = sum(row.p == row.p for row in rows)
    claims = tuple(claim for i, row in enumerate(rows) for claim in words[i].claims(row))
    findings = tuple(words[i].finding(row, tested) for i, row in enumerate(rows))
    described = tuple(words[i].described(row, tested) for i, row in enumerate(rows))
    return claims, tuple(filter(None, findings)), tuple(filter(None, described))


def _side(row: MarginRow, *, below: bool) -> str:
    if row.metric in MORE_IS_BETTER:
        return "inferior" if below else "superior"
    return "lower" if below else "higher"


def _size(row: MarginRow, *, below: bool) -> str:
    return with_unit(number(-row.low if below else row.high), row.unit)


def _margin(row: MarginRow) -> str:
    if row.low == -row.high:
        return f"±{with_unit(number(row.high), row.unit)}"
    return f"{signed(row.low)} to {with_unit(signed(row.high), row.unit)}"


def _measured(row: MarginRow) -> str:
    return f"difference {with_unit(signed(row.estimate), row.unit)}"


def _evidence(row: MarginRow) -> tuple[str, ...]:
    if row.p != row.p:
        return ()
    t_low, t_high = ((row.estimate - end) / row.se for end in (row.low, row.high))
    return (
        difference_interval(1.0 - 2.0 * ALPHA, row.ci_low, row.ci_high),
        f"against {signed(row.low)} {t_text(row.df, t_low)}, one-sided {p_text(row.p_low)}",
        f"against {signed(row.high)} {t_text(row.df, t_high)}, one-sided {p_text(row.p_high)}",
    )


def _against_zero(row: MarginRow) -> str:
    """Say what the test against no difference finds, which is another question."""
    if row.p_difference != row.p_difference:
        return ""
    if row.p_difference < ALPHA:
        return f". That there is a difference is another question: it is supported ({p_text(row.p_difference)})"
    return (
        f". “No difference found” ({p_text(row.p_difference)}) is another statement: it alone says nothing about how "
        "large one may be"
    )


def _adjusted(p: float, n_rows: int) -> str:
    return f"Holm over {counted(n_rows, 'margin')} {p_text(p)}" if n_rows > 1 else ""
