"""Published studies as files, and which of their conditions these runs share: what decides whether to compare."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from heatdrift import wording
from heatdrift.accuracy import selection_splits
from heatdrift.report.inputs import ReportInput
from heatdrift.run_facts import fact_title, listed_names, names_apart

FOLDER: Final = Path(__file__).parent / "published_values"
NAMES: Final = fact_title("class_names")
DECISIVE: Final = (
    *map(fact_title, ("backbone", "protocol", "select_on", "transfer_set", "epochs", "preprocess", "prompt_template")),
    NAMES,
    *("classifier at the start", "warm-up", "probe images drawn by"),
    "attention averaged over",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One condition of a study: what was published, what was done here, whether they agree (None: not known here)."""

    name: str
    theirs: str
    ours: str
    same: bool | None


@cache
def published_studies() -> tuple[Mapping[str, Any], ...]:
    """Return the published studies of the package, by name; each file names its source."""
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json")))


def facts(inp: ReportInput, published: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return the conditions of a published study and those of `inp`, both from what they state."""
    runs, cells = inp.done, pl.DataFrame(published["cells"])

    def distinct(column: str) -> list[Any]:
        return sorted(runs[column].drop_nulls().unique().to_list()) if column in runs.columns else []

    def fact(name: str, theirs: Sequence[Any], ours: Sequence[Any], *, equal: bool | None = None) -> Fact:
        same = (sorted(theirs) == sorted(ours) if equal is None else equal) if ours else None
        return Fact(name=name, theirs=_shown(theirs), ours=_shown(ours), same=same)

    def lrs(values: Sequence[float]) -> list[str]:
        return [wording.learning_rate(lr) for lr in values]

    splits = sorted(split for split in selection_splits(inp.runs) if split is not None)
    base = [round(value, 2) for value in distinct("zero_shot_base_pct")]
    published_epochs = [f"{name} {n}" for name, n in sorted(published["epochs"].items())]
    epochs = [
        f"{dataset} {n}" for dataset, n in runs.select("dataset", "epochs").drop_nulls().unique().sort(pl.all()).rows()
    ]
    shared = [e for e in published_epochs if e.split(" ")[0] in distinct("dataset")]
    base_same = all(math.isclose(value, published["zero_shot_base_pct"], abs_tol=0.5) for value in base)
    published_lrs, our_lrs = lrs(sorted(cells["lr"].unique())), lrs(distinct("lr"))
    return (
        fact("backbone", [published["backbone"]], distinct("backbone")),
        fact("protocol", [published["protocol"]], distinct("protocol")),
        fact(fact_title("select_on"), [published["select_on"]], splits),
        fact("epochs", published_epochs, epochs, equal=bool(shared) and set(shared) <= set(epochs)),
        fact(fact_title("transfer_set"), [published["transfer_set"]], distinct("transfer_set")),
        fact(
            fact_title("preprocess"), [_crops(published["crops"])], sorted(set(map(_crops, _json(runs, "preprocess"))))
        ),
        fact(fact_title("prompt_template"), [published["prompt"]], distinct("prompt_template")),
        _names(published, runs),
        *(fact(name, [theirs], inp.choices.get(name, ())) for name, theirs in published["choices"].items()),
        fact("arithmetic of training", [published["precision"]], _trained_in(runs)),
        fact("zero-shot accuracy of the base (%)", [published["zero_shot_base_pct"]], base, equal=base_same),
        fact("data sets", cells["dataset"].unique().sort().to_list(), distinct("dataset")),
        fact("methods", cells["method"].unique().sort().to_list(), distinct("method")),
        fact("learning rates", published_lrs, our_lrs, equal=published_lrs == our_lrs),
        fact("seeds", published["seeds"], distinct("seed")),
    )


def _trained_in(runs: pl.DataFrame) -> list[str]:
    """Return the arithmetic of training; of models that were trained elsewhere only that of measuring is known."""
    ours = runs.filter(pl.col("protocol").ne_missing("external")) if "protocol" in runs.columns else runs
    return sorted(ours["precision"].drop_nulls().unique().to_list()) if "precision" in runs.columns else []


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values) or wording.NOT_MEASURED


def _json(runs: pl.DataFrame, column: str) -> list[Mapping[str, Any]]:
    """Return the distinct objects of a column that holds JSON."""
    texts = runs[column].drop_nulls().unique().to_list() if column in runs.columns else []
    return [json.loads(text) for text in texts]


def _crops(made: Mapping[str, Any]) -> str:
    """Return how crops are made, in words; `made` is a run's preprocessing or what a publication did."""
    crop = made["size"] if "size" in made else made["crop"]
    smoothed = "antialiased" if made["antialias"] else "not antialiased"
    return f"{made['interpolation']} {smoothed} to {made.get('resize', crop)} pixels and crop of {crop}"


def _names(published: Mapping[str, Any], runs: pl.DataFrame) -> Fact:
    """Return whether prompts said the same words; of two lists the names are shown in which they differ."""
    theirs = published["class_names"].split(", ")
    found = [
        names[published["transfer_set"]] for names in _json(runs, "class_names") if published["transfer_set"] in names
    ]
    distinct = sorted(set(map(tuple, found)))
    if not distinct:
        return Fact(name=NAMES, theirs=listed_names(theirs), ours=_shown(()), same=None)
    other = [ours for ours in distinct if list(ours) != theirs]
    if not other:
        return Fact(name=NAMES, theirs=listed_names(theirs), ours=listed_names(theirs), same=True)
    shown = names_apart(theirs, other[0])
    return Fact(name=NAMES, theirs=shown[0], ours=shown[1], same=False)
