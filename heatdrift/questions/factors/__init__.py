"""All factors of a study in one mixed model, those that an imported table has besides ours among them."""

from dataclasses import replace
from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import CONF_LEVEL, METRIC, Option

_METRIC: Final = replace(
    METRIC, type=str | None, default=None, help="Numeric result column of runs. Default: the accuracy that they have."
)
_FORMULA: Final = Option(
    parameter="formula",
    flag="--formula",
    type=str | None,
    default=None,
    help="As lme4 writes it, with the factors' own names. Default: each factor that varies by itself, seeds random.",
)
QUESTION: Final = Question(
    name="factors",
    order=90,
    help="Test every factor of the runs at once: a table's own ones (rank, augmentation), backbones, methods, rates.",
    example='heatdrift stats factors --formula "test_acc_pct ~ method * C(rank) + (1 | seed)"',
    options=(_METRIC, _FORMULA, CONF_LEVEL),
    noun="own factors",
    place=Place(
        section="factors",
        title="Factors of these runs",
        lead="What each factor does by itself, the others held equal: a mixed model of all runs.",
        order=15,
        otherwise="",
    ),
)
