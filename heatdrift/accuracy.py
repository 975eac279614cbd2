"""Which accuracy a set of runs has, which split selected their epochs, what chance is: asked here and nowhere else.

Under the protocol ``preprint`` the provided test split selects the epoch, so ``val_acc_pct`` is the accuracy on the
very split that chose it, and there is no untouched test accuracy. A sentence about it says so in its own words: it gets
another title, not a footnote.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import polars as pl
from msgspec.structs import replace

from heatdrift.chance import ZeroShotBase
from heatdrift.metrics import Column, run_column, run_title
from heatdrift.wording import capital

VALIDATION: Final = "val_acc_pct"
TEST: Final = "test_acc_pct"
ACCURACIES: Final = (VALIDATION, TEST)
ON_TEST_TITLE: Final = "accuracy on the test split that also selected the epochs"
_SELECTED_ON_TEST: Final = (
    "Epochs were selected on the provided test split: every value is taken at the epoch of the best accuracy there"
)
_OPTIMISTIC: Final = f"that best accuracy ({VALIDATION}) is optimistic and does not replace an untouched test"
NOTHING_SELECTED: Final = "none: the last checkpoint"  # models that were trained elsewhere are measured as they are
_BY_PROTOCOL: Final = {  # for records that do not say it themselves
    "preprint": "test",
    "leakfree": "val",
    "external": NOTHING_SELECTED,
}


def finished(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the finished runs; all rows of a frame that has no status."""
    return runs.filter(pl.col("status") == "done") if "status" in runs.columns else runs


def selection_splits(runs: pl.DataFrame) -> set[str | None]:
    """Return the splits that selected epochs of finished runs, or None where nothing says it.

    They are ``val``, ``test``, and `NOTHING_SELECTED` of models that were trained elsewhere.

    Parameters
    ----------
    runs : rows of the view ``runs``; the columns ``select_on`` and ``protocol`` may be absent. What a run says goes
        before what its protocol implies.
    """
    unknown = pl.lit(None, pl.String)
    columns = [name if name in runs.columns else unknown.alias(name) for name in ("select_on", "protocol")]
    said = finished(runs).select(columns).unique()
    return {split or _BY_PROTOCOL.get(protocol) for split, protocol in said.iter_rows()}


def selected_on_test(runs: pl.DataFrame) -> bool:
    """Whether any finished run chose its epoch by the test split."""
    return "test" in selection_splits(runs)


def selected_on_test_sentence(metrics: Sequence[str] = ACCURACIES) -> str:
    """Return what selection on the test split means for values of `metrics`; by default for accuracies too."""
    return f"{_SELECTED_ON_TEST}; {_OPTIMISTIC}." if VALIDATION in metrics else f"{_SELECTED_ON_TEST}."


def shown_title(metric: str, *, on_test: bool) -> str:
    """Return the words for a metric, its own name where it is no result column.

    With `on_test` (the test split selected the epochs) the validation accuracy says that it is of that split.
    """
    return ON_TEST_TITLE if on_test and metric == VALIDATION else run_title(metric)


def shown_column(metric: str, runs: pl.DataFrame) -> Column:
    """Return the result column with the title that sentences use: an accuracy that selected its epoch says so.

    Raises
    ------
    UnknownNameError : no such metric.
    """
    return replace(run_column(metric), title=shown_title(metric, on_test=selected_on_test(runs)))


def accuracy_metric(*studies: pl.DataFrame) -> tuple[str, tuple[str, ...]]:
    """Return the test accuracy where a finished run of each study has one, else the validation accuracy, saying so.

    Where neither is there it is the test accuracy, whose absence is then an error or a gap of its own.
    """
    done = [finished(runs) for runs in studies]
    has = {name: all(name in runs.columns and runs[name].count() > 0 for runs in done) for name in ACCURACIES}
    if has[TEST] or not has[VALIDATION]:
        return TEST, ()
    return VALIDATION, (f"no run has {TEST}: the accuracy here is {VALIDATION}",)


def chance_accuracies(runs: pl.DataFrame, place: str = "dataset") -> dict[str, float]:
    """Return data set -> 100 / classes, in %, where the runs tell how many classes it has.

    They tell it by the class names that they keep, or by a train split that holds equally many images of every class.

    Parameters
    ----------
    place : column that names the data set, by which the levels are returned.
    """
    found: dict[str, set[int]] = {}
    if "class_names" in runs.columns:
        for name, dataset, text in (
            runs.select(pl.col(place).alias("place"), "dataset", "class_names").drop_nulls().unique().iter_rows()
        ):
            names = msgspec.json.decode(text, type=dict[str, tuple[str, ...]]).get(dataset, ())
            if len(names) > 1:
                found.setdefault(name, set()).add(len(names))
    if {"n_train", "train_per_class"} <= set(runs.columns):
        sizes = runs.select(place, classes=pl.col("n_train") / pl.col("train_per_class")).drop_nulls().unique()
        for name, classes in sizes.filter((pl.col("classes") % 1 == 0) & (pl.col("classes") > 1)).iter_rows():
            found.setdefault(name, set()).add(int(classes))
    return {name: 100 / next(iter(classes)) for name, classes in sorted(found.items()) if len(classes) == 1}


def base_warnings(rows: pl.DataFrame) -> list[str]:
    """Return a sentence for every pretrained model and transfer set whose zero-shot accuracy is near chance.

    The rule is ``ZeroShotBase.near_chance``. Where the number of classes is not known nothing can be said.

    Parameters
    ----------
    rows : of the view ``runs`` (its one transfer set) or of ``transfer`` (all of them).
    """
    names = {"base": "zero_shot_base_pct", "images": "n_transfer", "classes": "transfer_classes"}
    if "base_pct" in rows.columns:
        names = {"base": "base_pct", "images": "n_images", "classes": "n_classes"}
    if not {"transfer_set", *names.values()} <= set(rows.columns):
        return []
    backbone = pl.col("backbone") if "backbone" in rows.columns else pl.lit("").alias("backbone")
    known = rows.select(backbone, "transfer_set", **{key: pl.col(name) for key, name in names.items()}).drop_nulls()
    bases = known.group_by("backbone", "transfer_set", "images", "classes").agg(pl.col("base").min())
    found = []
    for whose, transfer_set, images, classes, base in bases.sort("backbone", "transfer_set", "images").iter_rows():
        one = ZeroShotBase(base_pct=base, n_images=images, n_classes=classes)
        if one.near_chance:
            found.append(f"{capital(one.warning(transfer_set, whose))}.")
    return list(dict.fromkeys(found))
