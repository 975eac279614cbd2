"""Which cells are not beaten in both accuracy and retention, and methods at equal accuracy or equal weight drift."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import BOOTSTRAP, CONF_LEVEL, RESAMPLING_SEED

QUESTION: Final = Question(
    name="frontier",
    order=70,
    help="Show which cells are beaten by none in accuracy and retention, "
    "and methods at equal accuracy or weight drift.",
    example="heatdrift stats frontier --dataset eurosat",
    options=(BOOTSTRAP, RESAMPLING_SEED, CONF_LEVEL),
    noun="frontier",
    place=Place(
        section="frontier",
        title="Accuracy against retention",
        lead="Which cells give up no retention without need, and how methods compare at equal accuracy or drift.",
        order=5,
        otherwise="No frontier was computed for this study.",
    ),
)
