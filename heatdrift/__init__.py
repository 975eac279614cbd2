"""heatdrift: what fine-tuning CLIP does to its attention and to its zero-shot accuracy.

The questions are functions of frames: ``heatdrift.interaction(runs, metric="retention_pct")`` returns a typed result.
Names are imported when they are first asked for, so that ``import heatdrift`` loads neither polars nor torch.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

try:
    __version__ = version("heatdrift")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

_HOMES: Final = {  # public name -> its module
    "interaction": "heatdrift.questions.interaction.analysis",
    "correlation": "heatdrift.questions.correlation.analysis",
    "dose": "heatdrift.questions.dose.analysis",
    "paired": "heatdrift.questions.paired.analysis",
    "layers": "heatdrift.questions.layers.analysis",
    "predictors": "heatdrift.questions.predictors.analysis",
    "frontier": "heatdrift.questions.frontier.analysis",
    "power": "heatdrift.questions.power.analysis",
    "compare_studies": "heatdrift.questions.compare.analysis",
}
__all__ = [
    "__version__",
    "compare_studies",
    "correlation",
    "dose",
    "frontier",
    "interaction",
    "layers",
    "paired",
    "power",
    "predictors",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - functions of different types
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
