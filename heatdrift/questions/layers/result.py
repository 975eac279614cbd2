"""Results of ``stats layers``: tests of blocks and heads."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from heatdrift.questions.answer import ALPHA, Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, csv_rows, grid, opening

SHOWN_HEADS: Final = 20  # of hundreds of heads the terminal shows those that differ, at most this many


class LayerRow(Result, frozen=True, kw_only=True):
    """Seed-level test of one block (``head`` None: mean over its heads) and probe.

    ``test`` "method": method_a - method_b, averaged over lr and data set (``dataset`` and ``method`` None). "drift":
    mean drift of one group against 0. ``p_bh`` and ``p_by`` adjust over the ``family`` rows of the same test and
    metric, blocks and heads apart.
    """

    test: Literal["method", "drift"]
    dataset: str | None
    method: str | None
    metric: str
    unit: str
    layer: int
    head: int | None
    n: int
    n_seeds: int
    estimate: float
    se: float
    df: float
    t: float
    p: float
    p_bh: float
    p_by: float
    family: int
    ci_low: float
    ci_high: float


class LayersResult(PresentedResult, frozen=True, kw_only=True):
    """Tests of all blocks and heads at the selected epoch."""

    metrics: tuple[str, ...]
    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    n_runs: int
    n_seeds: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[LayerRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return all rows."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, all blocks, and the heads that differ most."""
        yield from opening(self)
        common = "unit estimate ci_low ci_high t df p p_bh p_by"
        places = {"method": "metric layer", "drift": "dataset method metric layer"}
        titles = {"method": f"{self.method_a} - {self.method_b}", "drift": "mean drift against 0"}
        for test, place in places.items():
            rows = [row for row in self.rows if row.test == test]
            blocks = [row for row in rows if row.head is None]
            if blocks:
                yield grid(blocks, f"{place} {common}", title=f"blocks: {titles[test]}; {_family(blocks)}")
            heads = [row for row in rows if row.head is not None]
            found = sorted((row for row in heads if row.p_bh < ALPHA), key=lambda row: row.p_bh)
            if heads:
                title = f"heads: {titles[test]}; {len(found)} of {len(heads)} at 5 % (p_bh)"
                title += f", first {SHOWN_HEADS}" if len(found) > SHOWN_HEADS else ""
                title += f"; {_family(heads)}"
                yield grid(found[:SHOWN_HEADS], f"{place} head {common}", title=title)


def _family(rows: Sequence[LayerRow]) -> str:
    """Return what the false discovery rate of blocks or heads is controlled over."""
    sizes = sorted({row.family for row in rows if row.family})
    over = " or ".join(str(size) for size in sizes) or "no"
    return f"p_bh, p_by: Benjamini-Hochberg, -Yekutieli over the {over} tests of a metric"
