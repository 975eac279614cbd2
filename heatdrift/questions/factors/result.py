"""The typed answer of ``stats factors``: a model of any table, and what its factors are."""

from collections.abc import Iterator

from heatdrift.questions.answer import Result
from heatdrift.questions.model.result import ModelResult
from heatdrift.questions.tables import Detail, Grid, grid


class FactorLevels(Result, frozen=True, kw_only=True):
    """One factor: its levels, how many finished runs have each, and whether the table brought it (``own``)."""

    factor: str
    own: bool
    levels: tuple[str, ...]
    n: tuple[int, ...]


class FactorsResult(ModelResult, frozen=True, kw_only=True):
    """Model of all factors that vary. ``why``: how the formula came about; empty where it was given."""

    n_runs: int
    why: str = ""
    factors: tuple[FactorLevels, ...] = ()

    def shown(self) -> Iterator[str | Grid]:
        """Yield the factors, then what a model of any table shows."""
        if self.why:
            yield f"formula by default: {self.why}"
        yield grid(self.factors, title="factors that vary, and finished runs of each level")
        yield from super().shown()
        yield Detail(f"{self.n_runs} finished runs")
