"""docs/dependencies.md and requirements.lock: ``python -m heatdrift.cli.dependencies ROOT`` writes both from pyproject.

What stands there and why is in this file and in pyproject.toml; licences, and what a dependency brings along, are read
from the packages that are installed where the command runs. An extra that is not installed there is listed, but is not
in the lock, and neither is what it would bring along.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

WHY: Final[Mapping[str, str]] = {
    "altair": "charts as Vega-Lite specifications",
    "duckdb": "the store",
    "huggingface-hub": "hub data sets and weights, with its cache and offline mode (open_clip brings it)",
    "jinja2": "the page's template, with escaping by default",
    "markupsafe": "text that is escaped already",
    "msgspec": "strict, fast decoding of records and TOML, with the place of an error",
    "numpy": "arrays, linear algebra",
    "open-clip-torch": "architectures, tokenizer, text tower",
    "packaging": "comparing versions in `doctor`; names and versions of this page",
    "pandas": "tables as LaTeX (statsmodels brings it)",
    "patsy": "formulas of `stats model` (statsmodels brings it)",
    "peft": "low-rank adapters",
    "pillow": "decoding pictures",
    "polars": "frames between stages",
    "pyarrow": "bulk rows and Parquet sources",
    "rich": "tables and progress in a terminal",
    "safetensors": "weights without pickle",
    "scipy": "distributions, optimisation, Wilcoxon, noncentral t",
    "statsmodels": "second opinion, influence and robust checks of `stats model`; imported where used",
    "torch": "training",
    "torchvision": "resizing exactly as open_clip does",
    "typer": "the command line",
    "vl-convert-python": "static SVG twins of charts, and the embedded Vega bundle",
    "mlflow": "reading runs tracked with MLflow through its own client; a sink of DriftMonitor",
    "wandb": "a sink of DriftMonitor; W&B's files are read without it",
    "tensorboard": "a sink of DriftMonitor; its files are read without it",
    "trackio": "a sink of DriftMonitor; its files are read without it",
    "lightning": "a callback that runs DriftMonitor",
    "ray": "`heatdrift train --executor ray`",
    "submitit": "`heatdrift train --executor slurm`",
    "fsspec": "`heatdrift sync`: one way to all object stores",
    "s3fs": "`heatdrift sync s3://`",
    "mkdocs-material": "the documentation as a site (`make site`)",
    "gcsfs": "`heatdrift sync gs://`",
    "adlfs": "`heatdrift sync az://`",
    "moto": "a real S3 server that the tests of `heatdrift sync` start",
    "axe-playwright-python": "axe-core, of which the browser tests read the script alone",
    "hypothesis": "properties instead of examples, in tests/property",
    "mpmath": "exact arithmetic, against which R's optimum and ours are held",
    "mypy": "types",
    "pytest": "tests",
    "pytest-xdist": "tests on all cores",
    "ruff": "style",
    "selenium": "headless Chromium in the browser tests",
    "transformers": "a second CLIP to be equal to",
}
NOT_INSTALLED: Final[Mapping[str, str]] = {  # what their metadata in the registry stated in November 2026
    "mlflow": "Apache Software License",
    "wandb": "MIT License",
    "tensorboard": "Apache 2.0",
    "trackio": "MIT License",
    "lightning": "Apache-2.0",
    "ray": "Apache 2.0",
    "submitit": "MIT License",
    "s3fs": "BSD",
    "mkdocs-material": "MIT",
}
_LICENCE_WORDS: Final = 60  # characters; some packages put the whole text of their licence into this field
_CLASSIFIER: Final = "License :: OSI Approved :: "


class Direct(msgspec.Struct, frozen=True):
    """A dependency that pyproject.toml names: as it is written there, and its extra ("" for one that all need)."""

    requirement: Requirement
    extra: str

    @property
    def name(self) -> str:
        """Its name as registries write it."""
        return canonicalize_name(self.requirement.name)


def direct(root: Path) -> list[Direct]:
    """Return what `root`/pyproject.toml names, in its order; an extra that takes in others of ours adds nothing."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {"": project["dependencies"], **project["optional-dependencies"]}
    found = [Direct(Requirement(line), extra) for extra, lines in named.items() for line in lines]
    return [one for one in found if one.name != canonicalize_name(project["name"])]


def licence(name: str) -> str:
    """Return the licence that an installed package states, in few words."""
    about = metadata.metadata(name)
    fields = [about[field].strip() for field in ("License-Expression", "License") if field in about]
    stated = next(filter(None, fields), "")
    classifiers = [line.removeprefix(_CLASSIFIER) for line in about.get_all("Classifier") or () if _CLASSIFIER in line]
    if (not stated or "\n" in stated or len(stated) > _LICENCE_WORDS) and classifiers:
        stated = ", ".join(classifiers)
    first = stated.splitlines()[0] if stated else "not stated in its metadata"
    return first.replace("|", "/")[:_LICENCE_WORDS]


def brought(names: Iterator[Direct] | list[Direct]) -> dict[str, set[str]]:
    """Return every installed package that `names` need, by those that ask for it; direct ones are asked for by ""."""
    asked: dict[str, set[str]] = {}
    todo = [(one.requirement, "") for one in names]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement, parent = todo.pop()
        name = canonicalize_name(requirement.name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        asked.setdefault(name, set()).add(parent)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in lines:
            needed = Requirement(line)
            wanted = ({"extra": extra} for extra in (*requirement.extras, ""))
            if needed.marker is None or any(needed.marker.evaluate(environment) for environment in wanted):
                todo.append((needed, name))
    return asked


def lock(named: list[Direct]) -> str:
    """Return requirements.lock: one name==version a line of all that is installed and needed.

    A local version (``2.8.0+cpu``) is written without its suffix: that is the one that registries have.
    """
    versions = {name: Version(metadata.version(name)).public for name in sorted(brought(named))}
    head = "# Made by `make lock`: what heatdrift, its extras and its tests need, as installed. For pip-audit -r.\n"
    return head + "".join(f"{name}=={version}\n" for name, version in versions.items())


def page(named: list[Direct]) -> str:
    """Return docs/dependencies.md."""
    asked = brought(named)
    ours = {one.name for one in named}
    lines = [
        "# Dependencies",
        "",
        "Generated by `make lock` from pyproject.toml and the packages installed where it ran; the versions are in",
        "requirements.lock. Licences are in the words of each package. Extras that were not installed there are listed",
        "without what they bring along, and are not in the lock.",
        "",
        "| package | needed by | licence | for |",
        "|---|---|---|---|",
    ]
    for one in named:
        by = f"extra `{one.extra}`" if one.extra else "everybody"
        words = licence(one.name) if one.name in asked else NOT_INSTALLED.get(one.name, "not known: not installed here")
        lines.append(f"| {one.name} | {by} | {words} | {WHY[one.name]} |")
    lines += ["", "## What these bring along", "", "| package | licence | asked for by |", "|---|---|---|"]
    for name in sorted(asked.keys() - ours):
        lines.append(f"| {name} | {licence(name)} | {_few(sorted(asked[name]))} |")
    return "\n".join(lines) + "\n"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def write(root: Path) -> None:
    """Write both files of the repository `root`."""
    named = direct(root)
    (root / "docs" / "dependencies.md").write_text(page(named), encoding="utf-8")
    (root / "requirements.lock").write_text(lock(named), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
