"""The answer of ``stats all``: every question of a page in one table."""

from collections.abc import Iterator
from typing import Literal

from heatdrift.questions.outcomes import ExploratoryOutcome, PrimaryOutcome
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Detail, Grid, grid, limits
from heatdrift.wording import counted


class AllResult(PresentedResult, frozen=True, kw_only=True):
    """Every question of a page in one table: what may be claimed, and what cannot be answered."""

    study: str | None
    n_runs: int
    method: str
    adjust: Literal["fixed_sequence", "holm"]
    primary: tuple[PrimaryOutcome, ...]
    exploratory: tuple[ExploratoryOutcome, ...]
    exploratory_alpha: float
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
        yield Detail(f"method: {self.method}")
        yield "primary questions"
        yield from (f"  {o.position}. {o.verdict}: {o.sentence}" for o in self.primary)
        rows = sorted(self.exploratory, key=lambda o: o.p_adjusted)
        title = f"all tests; p_adjusted: Benjamini-Hochberg over {counted(len(rows), 'test')}, supported below "
        title += f"{self.exploratory_alpha:g}"
        yield grid(rows, "key p p_adjusted supported", title=title)
