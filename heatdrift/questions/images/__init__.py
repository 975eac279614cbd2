"""Images as well as seeds: methods and base compared image by image, and which classes were forgotten."""

from dataclasses import replace
from typing import Final

from heatdrift.questions.base import Place, Question
from heatdrift.questions.options import BOOTSTRAP, CONF_LEVEL, METHOD_A, METHOD_B, RESAMPLING_SEED

_BOOTSTRAP: Final = replace(BOOTSTRAP, default=1000, help="Number of resamples of images and seeds.")
QUESTION: Final = Question(
    name="images",
    order=75,
    help="Compare two methods, and adapted with base, on the same images; say which classes were forgotten.",
    example="heatdrift stats images --method-a lora_r8 --method-b full_ft",
    options=(METHOD_A, METHOD_B, _BOOTSTRAP, RESAMPLING_SEED, CONF_LEVEL),
    noun="comparisons image by image",
    arrays="hits",
    place=Place(
        section="images",
        title="Images as well as seeds",
        lead="The same images under every run: whether seeds or images limit the comparison, and which classes lost.",
        order=105,
        otherwise="",
    ),
)
