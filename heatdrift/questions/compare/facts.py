"""What two studies say about themselves, side by side: protocol, backbone, data, recipe, precision, versions."""

import json
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from heatdrift.accuracy import TEST
from heatdrift.questions.compare.result import StudyFact
from heatdrift.run_facts import PER_DATASET, listed_names, names_apart
from heatdrift.wording import six_digits

# Columns that decide results: where they differ, a difference of the studies may come from them.
_DECIDES: Final = (
    "protocol", "select_on", "backbone", "backbone_sha256", "precision", "eval_precision", "epochs", "batch_size",
    "weight_decay", "warmup_fraction", "clip_norm", "train_per_class", "data_seed", "prompt_template", "preprocess",
    "transfer_set", "n_transfer",
)  # fmt: skip
_PER_METHOD: Final = ("method_spec",)
_BESIDE: Final = ("commit", "dirty", "origin", "python", "platform", "device", "threads")
COLUMNS: Final = (*_DECIDES, *PER_DATASET, *_PER_METHOD, *_BESIDE)


def study_facts(a: pl.DataFrame, b: pl.DataFrame) -> tuple[StudyFact, ...]:
    """Compare runs of two studies, those of common cells, column by column; hashes and recipes per data set or method.

    What neither side says is left out.
    """
    facts = [_fact(name, "", a, b, decides=True) for name in _DECIDES]
    for by, columns in (("dataset", PER_DATASET), ("method", _PER_METHOD)):
        for level in sorted(set(a[by].to_list()) & set(b[by].to_list())):
            parts = (a.filter(pl.col(by) == level), b.filter(pl.col(by) == level))
            facts += [_fact(name, str(level), *parts, decides=True) for name in columns]
    facts += _class_names(a, b)
    facts += [_fact(name, "", a, b, decides=False) for name in _BESIDE]
    facts += _package_facts(a, b)
    return tuple(fact for fact in facts if fact.a or fact.b)


def fact_caveats(facts: Sequence[StudyFact], metrics: Sequence[str]) -> list[str]:
    """Return where the comparison is not like with like, one sentence for all that differs and one for the unknown."""
    different = [fact for fact in facts if fact.decides and fact.same is False]
    unknown = [fact for fact in facts if fact.decides and fact.same is None]
    sentences = []
    if different:
        named = "; ".join(f"{f.words} ({_short(f.a)} against {_short(f.b)})" for f in different)
        sentences.append(f"Not like with like: the studies differ in {named}. A difference may come from there.")
    if any(f.name == "select_on" for f in different) and TEST in metrics:
        sentences.append(
            "Test accuracies are not comparable: in one study the test split selected the epochs, in the other not."
        )
    if unknown:
        named = ", ".join(dict.fromkeys(f.words for f in unknown))
        sentences.append(f"Not known on one side, so not compared: {named}.")
    return sentences


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _fact(name: str, of: str, a: pl.DataFrame, b: pl.DataFrame, *, decides: bool) -> StudyFact:
    found = [_distinct(side, name) for side in (a, b)]
    shown = [_hash_text(text) if name.endswith("sha256") or name == "commit" else text for text in found]
    same = found[0] == found[1] if all(found) else None
    return StudyFact(name=name, of=of, a=shown[0], b=shown[1], same=same, decides=decides)


def _distinct(runs: pl.DataFrame, column: str) -> str:
    values = runs[column].drop_nulls().unique().sort().to_list() if column in runs.columns else []
    return ", ".join(six_digits(v) if isinstance(v, float) else str(v) for v in values)


def _hash_text(text: str) -> str:
    return ", ".join(part[:12] for part in text.split(", ")) if text else ""


def _class_names(a: pl.DataFrame, b: pl.DataFrame) -> list[StudyFact]:
    """Return a fact for each transfer set of a side: the words that its prompts had, of two lists those that differ."""
    sides = [_names(side) for side in (a, b)]
    facts = []
    for name in sorted({*sides[0], *sides[1]}):
        lists = [side.get(name) for side in sides]
        if lists[0] and lists[1] and lists[0] != lists[1]:
            first, second = names_apart(lists[0], lists[1])
        else:
            first, second = (listed_names(names) if names else "" for names in lists)
        same = lists[0] == lists[1] if all(lists) else None
        facts.append(StudyFact(name="class_names", of=name, a=first, b=second, same=same, decides=True))
    return facts


def _names(side: pl.DataFrame) -> dict[str, list[str]]:
    """Return transfer set -> class names; runs of one study that differ, or keep none, say nothing."""
    if not {"class_names", "transfer_set"} <= set(side.columns):
        return {}
    texts = side["class_names"].drop_nulls().unique().to_list()
    sets = set(side["transfer_set"].drop_nulls().to_list())
    found: dict[str, list[list[str]]] = {}
    for text in texts:
        for name, names in _json_object(text).items():
            if name in sets:
                found.setdefault(name, []).append(names)
    return {name: lists[0] for name, lists in found.items() if all(other == lists[0] for other in lists)}


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _package_facts(a: pl.DataFrame, b: pl.DataFrame) -> list[StudyFact]:
    """Return a fact for each package of which both sides name a version."""
    sides = [_packages(side) for side in (a, b)]
    names = sorted(set(sides[0]) & set(sides[1]))
    return [
        StudyFact(
            name=f"package {name}", of="", a=sides[0][name], b=sides[1][name], same=sides[0][name] == sides[1][name],
            decides=False,
        )
        for name in names
    ]  # fmt: skip


def _packages(runs: pl.DataFrame) -> dict[str, str]:
    """Return package -> its versions among the runs."""
    texts = runs["packages"].drop_nulls().unique().sort().to_list() if "packages" in runs.columns else []
    found: dict[str, set[str]] = {}
    for text in texts:
        for name, version in _json_object(text).items():
            found.setdefault(str(name), set()).add(str(version))
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
