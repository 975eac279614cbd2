"""heatdrift: what fine-tuning CLIP does to its attention and to its zero-shot accuracy.

Every question is a function of frames: ``heatdrift.interaction(runs, metric="retention_pct")`` returns a typed result.
Names are imported when they are first asked for, so that ``import heatdrift`` loads neither polars nor torch.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:  # noqa: ANN401 - functions of different types
    """Import a public name: ``compare_studies``, or the function of a question of ``heatdrift.questions``."""
    if name == "__version__":
        return _version()
    if name == "compare_studies":
        return import_module("heatdrift.questions.compare.analysis").compare_studies
    if name in _question_names():
        return getattr(import_module(f"heatdrift.questions.{name}.analysis"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "__version__", "compare_studies", *_question_names()})


def _question_names() -> tuple[str, ...]:
    from heatdrift.questions import QUESTIONS

    return tuple(question.name for question in QUESTIONS)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import: docs/performance.md

    try:
        return version("heatdrift")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"
