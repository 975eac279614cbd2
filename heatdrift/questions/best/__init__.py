"""Methods compared at their own best learning rates, chosen by validation inside each seed."""

from dataclasses import replace
from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, METRICS, Option

_METRICS: Final = replace(
    METRICS, help="Numeric result column of runs (docs/schema.md; repeatable). Default: test accuracy and retention."
)
_MARGIN: Final = Option(
    parameter="margin",
    flag="--margin",
    type=float | None,
    default=None,
    help="Difference in accuracy, in points, that does not matter. Default: 2.",
)
QUESTION: Final = Question(
    name="best",
    order=45,
    help="Compare methods at their own best learning rates, each chosen by validation accuracy inside each seed.",
    example="heatdrift stats best --metric test_acc_pct",
    options=(_METRICS, _MARGIN, CONF_LEVEL),
    noun="methods at their own best learning rates",
    place=Place(
        section="best",
        title="Each method at its own best learning rate",
        lead="What a method reaches at the learning rate that validation chooses for it, in each seed anew.",
        order=75,
        otherwise="Methods were not compared at their own best learning rates.",
    ),
)
