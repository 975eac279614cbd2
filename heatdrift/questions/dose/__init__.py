"""Trend of a metric over learning rates, within each data set and method."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, METRICS, RESAMPLING_SEED, Option

_PERMUTATIONS: Final = Option(
    parameter="permutations",
    flag="--permutations",
    type=int,
    default=99_999,
    help="Random arrangements where an exact count is out of reach.",
    low=99,
)
QUESTION: Final = Question(
    name="dose",
    order=30,
    help="Test whether METRIC rises or falls with the learning rate, within each data set and method.",
    example="heatdrift stats dose --metric retention_pct",
    options=(METRICS, _PERMUTATIONS, RESAMPLING_SEED, CONF_LEVEL),
    noun="trend over learning rates",
    place=Place(
        section="dose",
        title="Dose-response",
        lead="",  # the section opens with figures, which say it
        order=20,
        otherwise="No trend over learning rates was computed for this study.",
    ),
)
