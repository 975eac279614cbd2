"""What a run says of itself besides its results: the words for these columns, on pages, in tables and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Final

# what a data set decides: equal for all runs of one, different between two
PER_DATASET: Final = ("data_sha256", "split_sha256", "n_train", "n_val", "n_probe", "n_test")
_SHOWN_NAMES: Final = 4  # class names that tell two lists apart
# column of the view ``runs`` -> its words; the name of any other column reads well by itself
WORDS: Final[Mapping[str, str]] = {
    "origin": "program that trained",
    "dirty": "uncommitted changes",
    "diff_sha256": "SHA-256 of the uncommitted changes",
    "backbone_sha256": "SHA-256 of the weights",
    "data_sha256": "SHA-256 of the data",
    "split_sha256": "SHA-256 of the split",
    "n_train": "training images",
    "n_val": "validation images",
    "n_probe": "probe images",
    "n_test": "test images",
    "n_transfer": "transfer images",
    "train_per_class": "training images per class",
    "prompt_template": "prompt",
    "preprocess": "preprocessing",
    "select_on": "split that selected the epoch",
    "class_names": "class names in prompts",
    "eval_precision": "arithmetic of evaluation",
    "method_spec": "what the method trains",
}


def names_apart(a: Sequence[str], b: Sequence[str]) -> tuple[str, str]:
    """Return two lists of class names as short texts; of lists of one length only the names in which they differ."""
    apart = [(x, y) for x, y in zip(a, b, strict=True) if x != y] if len(a) == len(b) else []
    return (listed_names([x for x, _ in apart] or a), listed_names([y for _, y in apart] or b))


def listed_names(names: Sequence[str]) -> str:
    """Return the first of many class names, and how many more there are."""
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def fact_title(column: str) -> str:
    """Return the words for a column: `split that selected the epoch` for select_on, `batch size` for batch_size."""
    return WORDS.get(column, column.replace("_", " "))
