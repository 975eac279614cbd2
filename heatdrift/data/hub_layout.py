"""How a data set on the hub is laid out: references to splits, files of a split, what its card says of columns."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heatdrift.data.parquet import Features
from heatdrift.errors import DataError

_REFERENCE: Final = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+?)(@(?P<revision>[^:@]+))?/((?P<config>[^/:@]+):)?(?P<split>[^/:@]+)", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubReference:
    """A split of a data set on the hub."""

    repo: str
    revision: str
    config: str | None
    split: str

    @property
    def source(self) -> str:
        """The reference in full, revision included."""
        config = f"{self.config}:" if self.config else ""
        return f"hf:{self.repo}@{self.revision}/{config}{self.split}"


def parse_reference(place: str) -> HubReference:
    """Read what follows ``hf:``; DataError if it is not OWNER/NAME[@REVISION]/[CONFIG:]SPLIT."""
    match = _REFERENCE.fullmatch(place)
    if match is None:
        problem = f"hf:{place} is not hf:OWNER/NAME/SPLIT or hf:OWNER/NAME@REVISION/SPLIT"
        raise DataError(problem, hint='for instance "hf:timm/oxford-iiit-pet/train"')
    found = match.groupdict()
    return HubReference(
        repo=found["repo"], revision=found["revision"] or "main", config=found["config"], split=found["split"]
    )


def split_files(reference: HubReference, names: Sequence[str], card: Mapping[str, Any]) -> tuple[str, ...]:
    """Choose the Parquet files of a split, sorted: as the card's ``configs`` say, else by the usual places.

    The usual places are ``data/SPLIT-*.parquet``, ``SPLIT-*.parquet`` and ``SPLIT/*.parquet``, at the top or in a
    folder named after the config.

    Raises
    ------
    DataError : the card has no such config or split, or several configs have the split and none is the default.
    """
    every = sorted(name for name in names if name.endswith(".parquet"))
    configs = _configs(card, reference.split)
    if configs:
        config = _choose_config(configs, reference)
        return tuple(name for name in every if any(fnmatch.fnmatchcase(name, pattern) for pattern in configs[config]))
    inside = f"{reference.config}/" if reference.config else ""
    split = re.escape(reference.split)
    usual = re.compile(rf"{re.escape(inside)}(data/)?({split}(-[^/]*)?\.parquet|{split}/[^/]+\.parquet)")
    return tuple(name for name in every if usual.fullmatch(name))


def _configs(card: Mapping[str, Any], split: str) -> dict[str, list[str]]:
    """Config name -> file patterns of the split; the default config comes first."""
    found: dict[str, list[str]] = {}
    written = [entry for entry in card.get("configs") or () if isinstance(entry, dict) and "data_files" in entry]
    written.sort(key=lambda entry: not (entry.get("default") or entry.get("config_name") == "default"))
    for entry in written:
        files = entry["data_files"]
        parts = files if isinstance(files, list) else [{"split": "train", "path": files}]
        for part in parts:
            given = part if isinstance(part, dict) else {"split": "train", "path": part}
            if given.get("split") == split:
                paths = given.get("path", ())
                found[str(entry.get("config_name", "default"))] = [paths] if isinstance(paths, str) else list(paths)
    if written and not found:
        splits = [
            str(p.get("split")) for e in written if isinstance(e["data_files"], list) for p in e["data_files"] if p
        ]
        problem = f"the data set card has no split {split!r} (it has {', '.join(dict.fromkeys(splits))})"
        raise DataError(problem, hint="correct the source in the study file")
    return found


def _choose_config(configs: Mapping[str, list[str]], reference: HubReference) -> str:
    if reference.config is not None:
        if reference.config not in configs:
            problem = f"{reference.repo} has no config {reference.config!r} with split {reference.split!r}"
            raise DataError(problem, hint=f"configs: {', '.join(configs)}")
        return reference.config
    first = next(iter(configs))
    if len(configs) > 1 and first != "default":
        problem = f"{reference.repo}: split {reference.split!r} is in the configs {', '.join(configs)}"
        raise DataError(problem, hint=f'name one: "hf:{reference.repo}/{first}:{reference.split}"')
    return first


def card_features(card: Mapping[str, Any], reference: HubReference) -> Features | None:
    """Columns and class names as the card's ``dataset_info`` writes them; None if it does not."""
    written = card.get("dataset_info")
    infos = [info for info in (written if isinstance(written, list) else [written]) if isinstance(info, dict)]
    named = [info for info in infos if info.get("config_name") in (reference.config, "default", None)] or infos
    if not named:
        return None
    images, labels = [], {}
    for feature in named[0].get("features") or ():
        kind = feature.get("dtype") if isinstance(feature, dict) else None
        if kind == "image":
            images.append(str(feature["name"]))
        elif isinstance(kind, dict) and "class_label" in kind:
            names = kind["class_label"].get("names") or {}
            ordered = [names[key] for key in sorted(names, key=int)] if isinstance(names, dict) else names
            labels[str(feature["name"])] = tuple(map(str, ordered))
    return Features(images=tuple(images), labels=labels)
