"""One method minus another where data set, learning rate and, if the methods share them, seeds agree."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, METHOD_A, METHOD_B, METRICS, Option

_EQUIVALENCE: Final = Option(
    parameter="equivalence",
    flag="--equivalence",
    type=tuple[float, float] | None,
    default=None,
    help="Margin LOW HIGH of differences that do not matter, in the unit of the metric: equivalent within, not "
    "inferior by more than, or undecided.",
)
QUESTION: Final = Question(
    name="paired",
    order=40,
    help="Compare two methods at identical data set and lr: at the seed level, and over pairs as published.",
    example="heatdrift stats paired --metric retention_pct --equivalence -2 2",
    options=(METRICS, METHOD_A, METHOD_B, _EQUIVALENCE, CONF_LEVEL),
    noun="paired comparison",
    place=Place(
        section="paired",
        title="Paired comparison",
        lead="How two methods differ when data set, learning rate and seed are the same, averaged over learning rates.",
        order=70,
        otherwise="No paired comparison of two methods was computed for this study.",
    ),
)
