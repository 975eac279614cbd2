"""What a reader must know about the runs before believing a number: how epochs were selected, what cannot drift.

Under the protocol ``preprint`` the provided test split selects the epoch, so ``val_acc_pct`` is the accuracy on the
very split that chose it, and there is no untouched test accuracy. A sentence about it says so in its own words: it gets
another title, not a footnote.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
from msgspec.structs import replace

from heatdrift.methods import METHODS, known_family, stored_method
from heatdrift.metrics import Column, run_column
from heatdrift.stats.text import method_title

VALIDATION: Final = "val_acc_pct"
TEST: Final = "test_acc_pct"
SELECTED_ON_TEST: Final = (
    "Epochs were selected on the provided test split: every value is taken at the epoch of the best accuracy there"
)
_OPTIMISTIC: Final = (
    "val_acc_pct is that best accuracy, so it is optimistic and does not stand in for an untouched test"
)
_NO_DRIFT: Final = (
    "{methods}: the image encoder stays as it was, so drift 0 and retention 100 % hold by construction, not by finding"
)


def selected_on_test(runs: pl.DataFrame) -> bool:
    """Whether any finished run chose its epoch by the test split (``select_on``; else what its protocol says)."""
    done = runs.filter(pl.col("status") == "done") if "status" in runs.columns else runs
    split = done["select_on"] if "select_on" in done.columns else pl.Series([None] * done.height, dtype=pl.String)
    protocol = done["protocol"] if "protocol" in done.columns else pl.Series([None] * done.height, dtype=pl.String)
    return any(s == "test" or (s is None and p == "preprint") for s, p in zip(split, protocol, strict=True))


def shown_column(metric: str, runs: pl.DataFrame) -> Column:
    """Result column with the title that sentences use: a validation accuracy that selected its epoch on test says so.

    Raises
    ------
    UnknownNameError : no such metric.
    """
    column = run_column(metric)
    if metric == VALIDATION and selected_on_test(runs):
        return replace(column, title="accuracy on the test split that also selected the epochs")
    return column


def run_caveats(runs: pl.DataFrame, metrics: Sequence[str], *, methods: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences of a result about `metrics`; `methods`, where given, are told when they cannot drift at all."""
    found = []
    if selected_on_test(runs):
        found.append(SELECTED_ON_TEST + (f"; {_OPTIMISTIC}." if VALIDATION in metrics else "."))
    still = [name for name in methods if _leaves_encoder(name, runs)]
    if still:
        found.append(_NO_DRIFT.format(methods=", ".join(method_title(name) for name in still)))
    return tuple(found)


def accuracy_metric(runs: pl.DataFrame) -> tuple[str, tuple[str, ...]]:
    """Test accuracy where a finished run has one, else validation accuracy with a sentence that says so."""
    done = runs.filter(pl.col("status") == "done") if "status" in runs.columns else runs
    has = {name: name in done.columns and done[name].drop_nulls().len() > 0 for name in (TEST, VALIDATION)}
    if has[TEST] or not has[VALIDATION]:
        return TEST, ()
    return VALIDATION, (f"no run has {TEST}: the accuracy here is {VALIDATION}",)


def _leaves_encoder(name: str, runs: pl.DataFrame) -> bool:
    """Whether a method cannot change the image embedding, as its runs carry it, else as built in."""
    texts: list[str] = []
    if "method_spec" in runs.columns:
        texts = runs.filter(pl.col("method") == name)["method_spec"].drop_nulls().unique().to_list()
    families = [known_family(m) for m in (map(stored_method, texts) if texts else [METHODS.get(name)])]
    return bool(families) and all(f is not None and not f.changes_encoder for f in families)
