"""Which of a source's columns is meant by a common name: `val/acc`, `test_accuracy`, `learning_rate`.

Only names with one usual meaning are here. A guess is taken where nobody named a column, the source has none of our own
name, and one column alone fits; it is shown before anything is written. Settings that are part of a cell's identity
besides the five keys (epochs, batch size, transfer set) are never guessed: runs would get other ids.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from heatdrift.store.importers.columns import ColumnMap
from heatdrift.store.importers.flat_record import STATUS
from heatdrift.store.importers.values import is_missing

_ALSO: Final[Mapping[str, tuple[str, ...]]] = {
    "backbone": ("model", "model_name", "arch", "architecture", "clip_model"),
    "dataset": ("data_set", "dataset_name", "data"),
    "method": ("ft_method", "finetuning_method", "fine_tuning_method", "training_method"),
    "lr": ("learning_rate", "learningrate", "base_lr", "peak_lr", "max_lr", "init_lr"),
    "seed": ("random_seed", "rng_seed", "train_seed", "random_state"),
    "epoch": ("ep", "epoch_number"),
    "selected_epoch": ("best_epoch",),
    "train_loss": ("training_loss", "loss_train", "loss", "train_loss_epoch"),
    "train_acc_pct": (
        "train_acc",
        "train_accuracy",
        "training_accuracy",
        "acc_train",
        "train_acc1",
        "train_top1",
        "train_acc_epoch",
    ),
    "val_acc_pct": (
        *("val_acc", "val_accuracy", "valid_acc", "valid_accuracy", "validation_acc", "validation_accuracy", "acc_val"),
        *("dev_acc", "dev_accuracy", "val_acc1", "val_top1", "eval_accuracy", "eval_acc"),
    ),
    "test_acc_pct": ("test_acc", "test_accuracy", "acc_test", "accuracy_test", "test_acc1", "test_top1"),
}
_ENDS: Final = ("state", "status", "run_state", "run_status")
_NO_END: Final = ("running", "pending", "queued", "scheduled", "starting", "preempting", "preempted", "unknown")
_PREFIXES: Final = ("config", "params", "param", "hparams", "hyperparameters", "summary", "metrics", "metric", "args")
_PERCENT: Final = ("_pct", "_percent", "_percentage", "_perc")


def with_guesses(columns: ColumnMap, names: Iterable[str]) -> tuple[ColumnMap, tuple[str, ...], tuple[str, ...]]:
    """Add to a map what common names mean.

    Parameters
    ----------
    names : columns of the source.

    Returns
    -------
    The map, those of our names that were guessed, and sentences about names that several columns fit.
    """
    there = list(dict.fromkeys(names))
    used = {columns.source(name).column for name in columns.columns}
    found, unclear = dict[str, str](), list[str]()
    for ours, also in _ALSO.items():
        if ours in there or ours in columns.columns or ours in columns.constants:
            continue
        wanted = {ours.removesuffix("_pct"), ours, *also}
        fitting = [name for name in there if name not in used and plain_name(name) in wanted]
        if len(fitting) == 1:
            found[ours] = fitting[0]
        elif fitting:
            unclear.append(f"{ours} could be {' or '.join(fitting)}: --map {ours}=COLUMN")
    return (
        msgspec.structs.replace(columns, columns=dict(columns.columns) | found),
        tuple(found),
        tuple(unclear),
    )


def with_status(
    columns: ColumnMap, names: Iterable[str], rows: Iterable[Mapping[str, object]]
) -> tuple[ColumnMap, tuple[str, ...]]:
    """Add to a map how runs ended where one column says it, as W&B's `State` does; known by its name and its words.

    Returns
    -------
    The map, and ("status",) where it was guessed.
    """
    there = list(dict.fromkeys(names))
    if "status" in there or "status" in columns.columns or "status" in columns.constants:
        return columns, ()
    fitting = [name for name in there if plain_name(name) in _ENDS]
    if len(fitting) != 1:
        return columns, ()
    words = {str(value).strip().lower() for row in rows if not is_missing(value := row.get(fitting[0]))}
    if not words or not words <= {*STATUS, *_NO_END}:
        return columns, ()
    return msgspec.structs.replace(columns, columns=dict(columns.columns) | {"status": fitting[0]}), ("status",)


def may_mean(ours: str, name: str) -> bool:
    """Whether a column's name is one of the usual ones for `ours`."""
    return plain_name(name) in {ours, ours.removesuffix("_pct"), *_ALSO.get(ours, ())}


def plain_name(name: str) -> str:
    """Return a column's name in lower case with underscores, without where a tracker keeps it and without its unit.

    >>> plain_name("val/acc"), plain_name("config.learningRate"), plain_name("Test Accuracy (%)")
    ('val_acc', 'learning_rate', 'test_accuracy')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold()
    plain = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    first, _, rest = plain.partition("_")
    plain = rest if first in _PREFIXES and rest else plain
    return next((plain.removesuffix(end) for end in _PERCENT if plain.endswith(end)), plain)
