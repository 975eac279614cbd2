"""heatdrift: what fine-tuning CLIP does to its attention and to its zero-shot accuracy.

Read runs, ask a question, and print, draw or write the answer:

>>> import heatdrift
>>> runs = heatdrift.read_runs("mini")  # a finished study that comes with heatdrift
>>> answer = heatdrift.paired(runs, metrics=["retention_pct"])
>>> print(answer.findings[0])  # doctest: +ELLIPSIS
LoRA r=8 ...

Every question is a function of frames, from polars, pandas, pyarrow or DuckDB. Names are imported when they are first
asked for, so that ``import heatdrift`` loads neither polars nor torch. docs/python.md has all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the same names as in _WHERE, for type checkers and editors; a test compares them
    from heatdrift.api.asking import ask_all
    from heatdrift.api.comparing import compare
    from heatdrift.api.reporting import render_report
    from heatdrift.api.store import Store, read_runs
    from heatdrift.api.training import train_cell
    from heatdrift.errors import HeatdriftError
    from heatdrift.model.adapt_tower import adapt_open_clip
    from heatdrift.plan.study import load_study
    from heatdrift.questions.best.analysis import best
    from heatdrift.questions.compare.analysis import compare_studies as compare_studies
    from heatdrift.questions.correlation.analysis import correlation
    from heatdrift.questions.dose.analysis import dose
    from heatdrift.questions.factors.analysis import factors
    from heatdrift.questions.frontier.analysis import frontier
    from heatdrift.questions.images.analysis import images
    from heatdrift.questions.interaction.analysis import interaction
    from heatdrift.questions.layers.analysis import layers
    from heatdrift.questions.model.analysis import fit_model
    from heatdrift.questions.paired.analysis import paired
    from heatdrift.questions.power.analysis import power
    from heatdrift.questions.predictors.analysis import predictors
    from heatdrift.questions.retention.analysis import retention
    from heatdrift.train.external import measure
    from heatdrift.train.monitor import DriftMonitor
    from heatdrift.train.zero_shot import evaluate

    __version__: str

__all__ = [
    "DriftMonitor",
    "HeatdriftError",
    "Store",
    "__version__",
    "adapt_open_clip",
    "ask_all",
    "best",
    "compare",
    "correlation",
    "dose",
    "evaluate",
    "factors",
    "fit_model",
    "frontier",
    "images",
    "interaction",
    "layers",
    "load_study",
    "measure",
    "paired",
    "power",
    "predictors",
    "read_runs",
    "render_report",
    "retention",
    "train_cell",
]

# Public name -> the module that holds it. A question's function is in the module `analysis` of its folder.
_WHERE: Final = {
    "DriftMonitor": "train.monitor",
    "HeatdriftError": "errors",
    "Store": "api.store",
    "adapt_open_clip": "model.adapt_tower",
    "ask_all": "api.asking",
    "best": "questions.best.analysis",
    "compare": "api.comparing",
    "correlation": "questions.correlation.analysis",
    "dose": "questions.dose.analysis",
    "evaluate": "train.zero_shot",
    "factors": "questions.factors.analysis",
    "fit_model": "questions.model.analysis",
    "frontier": "questions.frontier.analysis",
    "images": "questions.images.analysis",
    "interaction": "questions.interaction.analysis",
    "layers": "questions.layers.analysis",
    "load_study": "plan.study",
    "measure": "train.external",
    "paired": "questions.paired.analysis",
    "power": "questions.power.analysis",
    "predictors": "questions.predictors.analysis",
    "read_runs": "api.store",
    "render_report": "api.reporting",
    "retention": "questions.retention.analysis",
    "train_cell": "api.training",
}
# Names that still work and warn, and what takes their place; gone in the next minor version at the earliest.
_EARLIER: Final = {"compare_studies": ("questions.compare.analysis", "compare")}


if not TYPE_CHECKING:  # to a type checker a module with __getattr__ has every name

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - names of different types
        """Import a public name when it is first asked for, and keep it."""
        if name == "__version__":
            return globals().setdefault(name, _version())
        if name == "model":  # a package that can be called: heatdrift/model/__init__.py
            return import_module(f"{__name__}.model")
        module = _WHERE.get(name)
        if name in _EARLIER:
            from warnings import warn

            earlier, successor = _EARLIER[name]
            warn(f"heatdrift.{name} is deprecated: use heatdrift.{successor}", DeprecationWarning, stacklevel=2)
            return getattr(import_module(f"{__name__}.{earlier}"), name)
        if module is None:
            from heatdrift.errors import nearest_name

            near = nearest_name(name, __all__)
            raise AttributeError(
                f"module {__name__!r} has no attribute {name!r}" + (f"; did you mean {near!r}?" if near else "")
            )
        return globals().setdefault(name, getattr(import_module(f"{__name__}.{module}"), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import: docs/performance.md

    try:
        return version("heatdrift")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"
