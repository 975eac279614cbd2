"""What is left of the base model's zero-shot accuracy, against all of it, over seeds."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, Option

_MARGIN: Final = Option(
    parameter="margin",
    flag="--margin",
    type=float | None,
    default=None,
    help="Loss or gain in points that does not matter: not inferior to 100 % by more, equivalent within, or undecided.",
)
QUESTION: Final = Question(
    name="retention",
    order=42,
    help="Test the mean retention of every method, and of each learning rate, against 100 % at the seed level.",
    example="heatdrift stats retention --margin 2",
    options=(_MARGIN, CONF_LEVEL),
    noun="retention against 100 %",
    place=Place(
        section="kept",
        title="Retention against 100 %",
        lead="Whether each method keeps all of the base's zero-shot accuracy, averaged over its learning rates.",
        order=72,
        otherwise="",
    ),
)
