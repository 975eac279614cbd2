"""One method minus another over runs that agree in data set, learning rate and seed."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, METHOD_A, METHOD_B, METRICS

QUESTION: Final = Question(
    name="paired",
    order=40,
    help="Compare two methods over identical data set, lr and seed: over pairs as published, and at the seed level.",
    example="heatdrift stats paired --metric retention_pct --metric test_acc_pct",
    options=(METRICS, METHOD_A, METHOD_B, CONF_LEVEL),
    noun="paired comparison",
    place=Place(
        section="paired",
        title="Paired comparison",
        lead="How two methods differ when data set, learning rate and seed are the same, averaged over learning rates.",
        order=70,
        otherwise="No paired comparison of two methods was computed for this study.",
    ),
)
