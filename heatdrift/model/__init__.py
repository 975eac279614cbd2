"""Stage 3: backbones and their weights, the split attention, a tower made trainable by a method, and its export.

Called, ``heatdrift.model(frame, formula)``, it is `heatdrift.fit_model`, the mixed model of any table: a reader of
statistics expects that name there, and this package had it first.
"""

import sys
from importlib import import_module
from types import ModuleType


class _CallableModule(ModuleType):
    """A package that can be called."""

    def __call__(self, frame: object, formula: str, **options: object) -> object:
        """Fit a mixed model to a table; see `heatdrift.fit_model`, which type checkers understand."""
        return import_module("heatdrift.questions.model.analysis").fit_model(frame, formula, **options)


sys.modules[__name__].__class__ = _CallableModule
