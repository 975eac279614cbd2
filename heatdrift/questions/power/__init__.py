"""The smallest difference of two methods that a number of seeds can find at the seed level."""

from typing import Final

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.base import Question
from heatdrift.questions.options import CONF_LEVEL, METHOD_A, METHOD_B, METRIC, Option

_SEEDS: Final = Option(parameter="seeds", flag="--seeds", type=int, default=5, help="Planned number of seeds.", low=2)
_ALPHA: Final = Option(
    parameter="alpha", flag="--alpha", type=float, default=ALPHA, help="Level of the test.", low=0.0001, high=0.5
)
_TARGET: Final = Option(
    parameter="target", flag="--power", type=float, default=0.8, help="Wanted power.", low=0.51, high=0.999
)
_DIFFERENCE: Final = Option(
    parameter="difference",
    flag="--difference",
    type=float | None,
    default=None,
    help="A difference to find, in the unit of the metric: how many seeds it needs.",
)
QUESTION: Final = Question(
    name="power",
    order=80,
    help="Compute the smallest difference of two methods that a number of seeds can find, and what more would buy.",
    example="heatdrift stats power --metric retention_pct --seeds 5 --difference 2",
    options=(METRIC, _SEEDS, METHOD_A, METHOD_B, _ALPHA, _TARGET, _DIFFERENCE, CONF_LEVEL),
    noun="power",
)
