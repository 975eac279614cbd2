"""Code, machine, weights and data behind a study's runs, as words for the report."""

import json
from typing import TYPE_CHECKING, Final

from heatdrift.run_facts import PER_DATASET, fact_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

# section of the page -> columns of the view `runs`
SECTIONS: Final = {
    "code": ("commit", "dirty", "diff_sha256", "origin", "packages", "python"),
    "machine": ("platform", "host", "device", "threads", "precision", "eval_precision"),
    "backbone": ("backbone", "backbone_sha256", "preprocess"),
    "evaluation": ("transfer_set", "n_transfer", "prompt_template", "select_on", "data_seed"),
}


def provenance(runs: "pl.DataFrame") -> "dict[str, list[tuple[str, str]]]":
    """Distinct values of every provenance column; what differs between data sets is listed under each.

    Parameters
    ----------
    runs : rows of the view ``runs``, with all of its columns: one that is not there is our mistake, not an empty fact.
    """
    facts = {name: _distinct(runs, columns) for name, columns in SECTIONS.items()}
    evaluation = facts.pop("evaluation")
    for dataset in runs["dataset"].drop_nulls().unique().sort():
        facts[f"data set {dataset}"] = _distinct(runs.filter(runs["dataset"] == dataset), PER_DATASET)
    return facts | {"evaluation": evaluation, "time": _span(runs)}


def _distinct(runs: "pl.DataFrame", columns: "Sequence[str]") -> "list[tuple[str, str]]":
    """Words and values of the columns that any run fills."""
    values = {column: runs[column].drop_nulls().unique().sort().to_list() for column in columns}
    return [(fact_title(column), ", ".join(map(_as_words, found))) for column, found in values.items() if found]


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
