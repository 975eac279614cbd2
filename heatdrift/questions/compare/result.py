"""Results that compare two studies: differences over common cells, what the studies differ in, what one side lacks."""

from collections.abc import Iterator, Mapping
from typing import Literal

from heatdrift.questions.answer import Result
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, csv_rows
from heatdrift.run_facts import fact_title
from heatdrift.wording import counted, learning_rate

Pairing = Literal["paired", "unpaired", "mixed", "single"]


class StudyDifferenceRow(Result, frozen=True, kw_only=True):
    """Study a minus study b in one cell; ``dataset``, ``method`` and ``lr`` None = averaged over all common cells.

    ``mean_a`` - ``mean_b`` = ``difference``: all three are over the same runs, ``n_a`` of a and ``n_b`` of b;
    ``unused_a`` and ``unused_b`` runs measured the metric but have no partner in a paired cell.

    ``how``: "paired" = differences of runs of one seed, interval from their spread over seeds; "unpaired" = independent
    seeds, Welch's interval of two means; "mixed" (averages) = some cells are paired, some not; "single" = too few runs
    for an interval (NaN -> null). ``n_seeds_a``, ``n_seeds_b``: seeds of the runs used; ``n_seeds``: seeds run on both
    sides that were paired (unpaired, single: the smaller side). ``n_pairs``: pairs of runs. ``p_holm`` adjusts over the
    rows of the same kind (cells or averages).
    """

    metric: str
    unit: str
    backbone: str | None
    dataset: str | None
    method: str | None
    lr: float | None
    how: Pairing
    n_cells: int
    n_seeds: int
    n_a: int
    n_b: int
    n_pairs: int
    n_seeds_a: int
    n_seeds_b: int
    unused_a: int
    unused_b: int
    mean_a: float
    mean_b: float
    difference: float
    se: float
    df: float
    t: float
    p: float
    p_holm: float
    ci_low: float
    ci_high: float

    @property
    def used(self) -> str:
        """What the row rests on: `4 pairs`, or the runs of a and of b, `4 + 3 runs`."""
        if self.n_pairs == self.n_a == self.n_b:
            return counted(self.n_pairs, "pair")
        return f"{self.n_a} + {self.n_b} runs"

    @property
    def unused(self) -> str:
        """Runs of a and of b without a partner, `1 + 0`; empty where there are none."""
        return f"{self.unused_a} + {self.unused_b}" if self.unused_a or self.unused_b else ""


class StudyFact(Result, frozen=True, kw_only=True):
    """One thing that both studies say about their common cells; ``same`` None = at least one does not say it."""

    name: str
    of: str
    a: str
    b: str
    same: bool | None
    decides: bool

    @property
    def words(self) -> str:
        """What is compared, as sentences and tables name it: `SHA-256 of the split of eurosat`."""
        title = fact_title(self.name)
        return f"{title} of {self.of}" if self.of else title


class StudyPairing(Result, frozen=True, kw_only=True):
    """Cells in which equal seeds are pairs, or are not, for one reason; `sentence` says all of it."""

    paired: bool
    why: str
    sentence: str
    n_cells: int
    n_pairs: int


class StudyCell(Result, frozen=True, kw_only=True):
    """A cell with finished runs on one side only."""

    backbone: str | None
    dataset: str
    method: str
    lr: float
    n_seeds: int


class StudyComparison(PresentedResult, frozen=True, kw_only=True):
    """Two studies side by side; every difference is study a - study b.

    ``matched_on`` names the columns that make two cells one. ``caveats`` say where a comparison is not like with like.
    ``pairing`` says in how many cells equal seeds are pairs and why; ``n_pairs`` counts these pairs, ``n_same_runs``
    those of them that are one run, held by both. ``missing_a`` are cells that only b has, ``missing_b`` cells that only
    a has. ``titles`` are the words for each metric; an accuracy that selected the epochs of both studies says so there.
    """

    study_a: str
    study_b: str
    matched_on: tuple[str, ...]
    n_runs_a: int
    n_runs_b: int
    n_cells: int
    n_pairs: int
    n_same_runs: int
    conf_level: float
    method: str
    pairing: tuple[StudyPairing, ...]
    rows: tuple[StudyDifferenceRow, ...]
    facts: tuple[StudyFact, ...]
    caveats: tuple[str, ...]
    missing_a: tuple[StudyCell, ...]
    missing_b: tuple[StudyCell, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    titles: Mapping[str, str] = {}

    def title(self, metric: str) -> str:
        """Return the words for a metric; its own name where the result has none."""
        return self.titles.get(metric, metric)

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the differences of cells and their averages."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield caveats, what differs, findings, the differences, and what one side lacks."""
        yield from (f"Caveat: {caveat}" for caveat in self.caveats)
        yield from (pairing.sentence for pairing in self.pairing)
        differing = [fact for fact in self.facts if fact.same is False]
        if differing:
            lines = [(f.words, f.a, f.b) for f in differing]
            yield Grid(("differs", self.study_a, self.study_b), lines)
        yield from self.findings
        unused = any(row.unused for row in self.rows)
        columns = (
            "metric", "dataset", "method", "lr", "how", "used", *(("unused",) if unused else ()), "mean_a", "mean_b",
            "difference", "ci_low", "ci_high", "p_holm",
        )  # fmt: skip
        heads = ["n" if name == "used" else name for name in columns]
        yield Grid(heads, [[getattr(row, name) for name in columns] for row in self.rows])
        for name, cells in ((self.study_a, self.missing_a), (self.study_b, self.missing_b)):
            if cells:
                named = ", ".join(f"{c.dataset}/{c.method}/{learning_rate(c.lr)}" for c in cells[:6])
                yield f"Missing in {name}: {counted(len(cells), 'cell')} ({named}{', ...' if len(cells) > 6 else ''})"
        yield from (f"left out: {text}" for text in self.left_out)
