"""How two metrics go together: pooled, within data sets, within groups, and given the learning rate."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import BOOTSTRAP, CONF_LEVEL, METRIC, RESAMPLING_SEED, Option

X: Final = Option(parameter="x", flag="--x", type=str, default="delta_erf95_pct", help=METRIC.help)
Y: Final = Option(parameter="y", flag="--y", type=str, default="retention_pct", help=METRIC.help)
QUESTION: Final = Question(
    name="correlation",
    order=20,
    help="Correlate X with Y: pooled, within data set, within group, repeated-measures and partial given lr.",
    example="heatdrift stats correlation --x delta_erf95_pct --y retention_pct",
    options=(X, Y, BOOTSTRAP, RESAMPLING_SEED, CONF_LEVEL),
    noun="correlation",
    place=Place(
        section="correlation",
        title="Drift and forgetting",
        lead="Whether drift goes with zero-shot retention, and whether that holds inside the groups.",
        order=80,
        otherwise="No correlation was computed for this study.",
    ),
)
