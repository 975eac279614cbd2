"""Code, machine, weights and data behind a study's runs, as words for the report."""

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

PER_DATASET: Final = ("data_sha256", "split_sha256", "n_train", "n_val", "n_probe", "n_test")
PROVENANCE_WORDS: Final = {
    "dirty": "uncommitted changes",
    "diff_sha256": "SHA-256 of the uncommitted changes",
    "backbone_sha256": "SHA-256 of the weights",
    "preprocess": "preprocessing",
    "data_sha256": "SHA-256 of the data",
    "split_sha256": "SHA-256 of the split",
    "n_train": "training images",
    "n_val": "validation images",
    "n_probe": "probe images",
    "n_test": "test images",
    "n_transfer": "transfer images",
    "template": "prompt",
    "select_on": "split that selected the epoch",
}


def provenance(runs: "pl.DataFrame") -> "dict[str, list[tuple[str, str]]]":
    """Distinct values of every provenance column; what differs between data sets is listed under each."""

    def distinct(frame: "pl.DataFrame", columns: "Sequence[str]") -> "list[tuple[str, str]]":
        found = []
        for column in columns:
            values = frame[column].drop_nulls().unique().sort().to_list() if column in frame.columns else []
            if values:
                name = PROVENANCE_WORDS.get(column, column.replace("_", " "))
                found.append((name, ", ".join(_as_words(v) for v in values)))
        return found

    targets = {
        f"data set {dataset}": distinct(runs.filter(runs["dataset"] == dataset), PER_DATASET)
        for dataset in runs["dataset"].drop_nulls().unique().sort()
    }
    return {
        "code": distinct(runs, ("commit", "dirty", "diff_sha256", "origin", "packages", "python")),
        "machine": distinct(runs, ("platform", "host", "device", "threads", "precision")),
        "backbone": distinct(runs, ("backbone", "backbone_sha256", "preprocess")),
        **targets,
        "evaluation": distinct(runs, ("transfer_set", "n_transfer", "template", "select_on", "data_seed")),
        "time": _span(runs),
    }


def _as_words(value: object) -> str:
    """A value as text; a JSON object, as the packages are kept, as `name version` pairs."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if not text.startswith("{"):
        return text
    try:
        return ", ".join(f"{name} {version}" for name, version in sorted(json.loads(text).items()))
    except ValueError:
        return text


def _span(runs: "pl.DataFrame") -> "list[tuple[str, str]]":
    started, finished = runs["started_at"].drop_nulls(), runs["finished_at"].drop_nulls()
    if started.is_empty() or finished.is_empty():
        return []
    ends = {"first run started": started.min(), "last run finished": finished.max()}
    return [(name, f"{str(moment)[:19]} UTC") for name, moment in ends.items()]
