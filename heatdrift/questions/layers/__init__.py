"""Where in the network two methods differ, and where attention drifted at all."""

from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, METHOD_A, METHOD_B, Option

PAGE_PROBES: Final = ("entropy", "erf95")  # tested per block and head on a page
_METRICS: Final = Option(
    parameter="metrics",
    flag="--metric",
    type=list[str] | None,
    default=None,
    help="Per-block probe, e.g. entropy (repeatable). Default: all that were measured.",
)
QUESTION: Final = Question(
    name="layers",
    order=50,
    help="Test every block and head: do the methods differ, did it drift; false discovery rate controlled.",
    example="heatdrift stats layers --metric entropy",
    options=(_METRICS, METHOD_A, METHOD_B, CONF_LEVEL),
    noun="blocks and heads",
    views=("layers", "heads"),
    place=Place(
        section="layers",
        title="Layers and heads",
        lead="",  # the section opens with figures, which say it
        order=30,
        otherwise="No tests of blocks and heads were computed for this study.",
    ),
    page_probes=PAGE_PROBES,
)
