"""The mixed model of one metric against lr x method x dataset, its seed-level tests and its checks."""

from typing import Final, Literal

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import BOOTSTRAP, CONF_LEVEL, METRIC, RESAMPLING_SEED, Option

_LR_AS: Final = Option(
    parameter="lr_as",
    flag="--lr-as",
    type=Literal["factor", "linear", "poly"],
    default="factor",
    help="Learning rate as a factor, line or quadratic.",
)
_RANDOM: Final = Option(
    parameter="random",
    flag="--random",
    type=str,
    default="seed",
    help="'seed', 'seed + seed:method', 'seed + seed:dataset' or 'dataset:seed' (intercepts).",
)
_DDF: Final = Option(
    parameter="ddf",
    flag="--ddf",
    type=Literal["kenward_roger", "satterthwaite"],
    default="kenward_roger",
    help="Degrees of freedom of the contrasts.",
)
_INTERVALS: Final = Option(
    parameter="intervals",
    flag="--intervals",
    type=Literal["wald", "profile", "bootstrap"],
    default="wald",
    help="t intervals, profile likelihood, or parametric bootstrap.",
)
_SCALE: Final = Option(
    parameter="scale",
    flag="--scale",
    type=Literal["raw", "logit", "log"],
    default="raw",
    help="Model the metric as it is, as log odds (accuracies), or as its logarithm.",
)
_SECOND_OPINION: Final = Option(
    parameter="second_opinion",
    flag="--second-opinion",
    type=bool,
    default=False,
    help="Fit the same model with statsmodels (MixedLM, AnovaRM) and say how far apart the answers are.",
)
QUESTION: Final = Question(
    name="interaction",
    order=10,
    help="Fit METRIC ~ lr * method * dataset with seed as a random effect; the headline is the seed-level test.",
    example="heatdrift stats interaction --metric delta_entropy_pct",
    options=(
        METRIC, _SCALE, _LR_AS, _RANDOM, _DDF, _INTERVALS, BOOTSTRAP,
        RESAMPLING_SEED.named("bootstrap_seed"), CONF_LEVEL, _SECOND_OPINION,
    ),
    noun="interaction models",
    place=Place(
        section="models",
        title="Interaction models",
        lead="Mixed-effects models of one metric each against learning rate, method and data set, seed as a random "
        "effect.",
        order=60,
        otherwise="No interaction model was computed for this study.",
    ),
)  # fmt: skip
