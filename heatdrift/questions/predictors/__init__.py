"""Which signal, measured without a transfer set's labels, ranks zero-shot retention."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import BOOTSTRAP, CONF_LEVEL, RESAMPLING_SEED, Option

_MARGIN: Final = Option(
    parameter="margin",
    flag="--margin",
    type=float,
    default=2.0,
    help="Candidates: within this many points of the best validation.",
    low=0.0,
)
_VALIDATE: Final = Option(
    parameter="validate",
    flag="--validate",
    type=bool,
    default=False,
    help="Also: how well retention is estimated in groups that were left out.",
)
QUESTION: Final = Question(
    name="predictors",
    order=60,
    help="Compare signals that need no transfer labels: which ranks retention, and what does choosing by it keep.",
    example="heatdrift stats predictors --margin 2",
    options=(_MARGIN, _VALIDATE, BOOTSTRAP, RESAMPLING_SEED, CONF_LEVEL),
    noun="predictors",
    views=("epochs",),
    place=Place(
        section="predictors",
        title="Predictors of retention",
        lead="Which signal, measured without a label of the transfer set, tells how much zero-shot ability is left.",
        order=90,
        otherwise="No predictors were compared for this study.",
    ),
)
