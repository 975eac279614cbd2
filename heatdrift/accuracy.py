"""Which accuracy a set of runs has, and on which split their epochs were selected: asked here and nowhere else.

Under the protocol ``preprint`` the provided test split selects the epoch, so ``val_acc_pct`` is the accuracy on the
very split that chose it, and there is no untouched test accuracy. A sentence about it says so in its own words: it gets
another title, not a footnote.
"""

from typing import Final

import polars as pl
from msgspec.structs import replace

from heatdrift.metrics import Column, run_column

VALIDATION: Final = "val_acc_pct"
TEST: Final = "test_acc_pct"
ACCURACIES: Final = (VALIDATION, TEST)
ON_TEST_TITLE: Final = "accuracy on the test split that also selected the epochs"
_BY_PROTOCOL: Final = {"preprint": "test", "leakfree": "val"}  # for records that do not say it themselves


def finished(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the finished runs; all rows of a frame that has no status."""
    return runs.filter(pl.col("status") == "done") if "status" in runs.columns else runs


def selection_splits(runs: pl.DataFrame) -> set[str | None]:
    """Return the splits that selected epochs: ``val``, ``test``, or None where neither run nor protocol says.

    Parameters
    ----------
    runs : rows of the view ``runs``; the columns ``select_on`` and ``protocol`` may be absent.
    """
    unknown = pl.lit(None, pl.String)
    columns = [name if name in runs.columns else unknown.alias(name) for name in ("select_on", "protocol")]
    return {split or _BY_PROTOCOL.get(protocol) for split, protocol in runs.select(columns).unique().iter_rows()}


def selected_on_test(runs: pl.DataFrame) -> bool:
    """Whether any finished run chose its epoch by the test split (``select_on``; else what its protocol says)."""
    return "test" in selection_splits(finished(runs))


def shown_column(metric: str, runs: pl.DataFrame) -> Column:
    """Return the result column with the title that sentences use: an accuracy that selected its epoch says so.

    Raises
    ------
    UnknownNameError : no such metric.
    """
    column = run_column(metric)
    return replace(column, title=ON_TEST_TITLE) if metric == VALIDATION and selected_on_test(runs) else column


def accuracy_metric(runs: pl.DataFrame) -> tuple[str, tuple[str, ...]]:
    """Return the test accuracy where a finished run has one, else the validation accuracy with a sentence saying so."""
    done = finished(runs)
    has = {name: name in done.columns and done[name].count() > 0 for name in ACCURACIES}
    if has[TEST] or not has[VALIDATION]:
        return TEST, ()
    return VALIDATION, (f"no run has {TEST}: the accuracy here is {VALIDATION}",)
