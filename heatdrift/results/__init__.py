"""Typed results of the statistics: a number always travels with n, interval, level, unit, method and what was dropped.

The fields are the JSON keys that scripts rely on (DESIGN 6; NaN becomes null). Full precision inside; rounding happens
only where text is made. ``stats`` makes these values, ``report`` and ``cli/output.py`` show them.
"""

from heatdrift.results.association import (
    Association,
    CorrelationResult,
    DoseResult,
    DoseRow,
    PredictorRow,
    PredictorsResult,
    SelectionRow,
)
from heatdrift.results.base import (
    Check,
    Result,
)
from heatdrift.results.comparison import (
    FrontierCell,
    FrontierResult,
    LayerRow,
    LayersResult,
    MatchedRow,
    PairedResult,
    PairedRow,
    PowerResult,
    PowerRow,
)
from heatdrift.results.model import (
    Contrast,
    DdfMethod,
    FixedEffect,
    InteractionResult,
    LikelihoodRatio,
    MarginalMean,
    TermTest,
    VarianceComponent,
    VarianceTest,
)

__all__ = [
    "Association",
    "Check",
    "Contrast",
    "CorrelationResult",
    "DdfMethod",
    "DoseResult",
    "DoseRow",
    "FixedEffect",
    "FrontierCell",
    "FrontierResult",
    "InteractionResult",
    "LayerRow",
    "LayersResult",
    "LikelihoodRatio",
    "MarginalMean",
    "MatchedRow",
    "PairedResult",
    "PairedRow",
    "PowerResult",
    "PowerRow",
    "PredictorRow",
    "PredictorsResult",
    "Result",
    "SelectionRow",
    "TermTest",
    "VarianceComponent",
    "VarianceTest",
]
