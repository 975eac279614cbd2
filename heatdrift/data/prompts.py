"""Prompts: the templates of a transfer set, released lists of them, and class names that no text tower knows."""

import re
from collections.abc import Sequence
from typing import Final

from heatdrift.data.images import listed
from heatdrift.errors import DataError, UnknownNameError

_AS_A_NUMBER: Final = re.compile(r"(class|label|category|cls|id|c|lbl)?[\s_#:.-]*\d+", re.IGNORECASE)
_WORDNET: Final = re.compile(r"n\d{8}")
_HEX: Final = re.compile(r"(?=.*\d)[0-9a-f]{8,}(-[0-9a-f]{4,})*")  # hashes and UUIDs
_IMAGENET: Final = """
a bad photo of a {}. | a photo of many {}. | a sculpture of a {}. | a photo of the hard to see {}. | a low resolution
photo of the {}. | a rendering of a {}. | graffiti of a {}. | a bad photo of the {}. | a cropped photo of the {}. | a
tattoo of a {}. | the embroidered {}. | a photo of a hard to see {}. | a bright photo of a {}. | a photo of a clean
{}. | a photo of a dirty {}. | a dark photo of the {}. | a drawing of a {}. | a photo of my {}. | the plastic {}. | a
photo of the cool {}. | a close-up photo of a {}. | a black and white photo of the {}. | a painting of the {}. | a
painting of a {}. | a pixelated photo of the {}. | a sculpture of the {}. | a bright photo of the {}. | a cropped
photo of a {}. | a plastic {}. | a photo of the dirty {}. | a jpeg corrupted photo of a {}. | a blurry photo of the
{}. | a photo of the {}. | a good photo of the {}. | a rendering of the {}. | a {} in a video game. | a photo of one
{}. | a doodle of a {}. | a close-up photo of the {}. | a photo of a {}. | the origami {}. | the {} in a video game. |
a sketch of a {}. | a doodle of the {}. | a origami {}. | a low resolution photo of a {}. | the toy {}. | a rendition
of the {}. | a photo of the clean {}. | a photo of a large {}. | a rendition of a {}. | a photo of a nice {}. | a
photo of a weird {}. | a blurry photo of a {}. | a cartoon {}. | art of a {}. | a sketch of the {}. | a embroidered
{}. | a pixelated photo of a {}. | itap of the {}. | a jpeg corrupted photo of the {}. | a good photo of a {}. | a
plushie {}. | a photo of the nice {}. | a photo of the small {}. | a photo of the weird {}. | the cartoon {}. | art of
the {}. | a drawing of the {}. | a photo of the large {}. | a black and white photo of a {}. | the plushie {}. | a
dark photo of a {}. | itap of a {}. | graffiti of the {}. | a toy {}. | itap of my {}. | a photo of a cool {}. | a
photo of a small {}. | a tattoo of the {}.
"""
_IMAGENET_SEVEN: Final = """
itap of a {}. | a bad photo of the {}. | a origami {}. | a photo of the large {}. | a {} in a video game. | art of the
{}. | a photo of the small {}.
"""
_CIFAR: Final = """
a photo of a {}. | a blurry photo of a {}. | a black and white photo of a {}. | a low contrast photo of a {}. | a high
contrast photo of a {}. | a bad photo of a {}. | a good photo of a {}. | a photo of a small {}. | a photo of a big {}.
| a photo of the {}. | a blurry photo of the {}. | a black and white photo of the {}. | a low contrast photo of the
{}. | a high contrast photo of the {}. | a bad photo of the {}. | a good photo of the {}. | a photo of the small {}. |
a photo of the big {}.
"""
_EUROSAT: Final = """
a centered satellite photo of {}. | a centered satellite photo of a {}. | a centered satellite photo of the {}.
"""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("|"))


# OpenAI's, of github.com/openai/CLIP: data/prompts.md and notebooks/Prompt_Engineering_for_ImageNet.ipynb
TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "openai/imagenet80": _listed(_IMAGENET),
    "openai/imagenet7": _listed(_IMAGENET_SEVEN),
    "openai/cifar18": _listed(_CIFAR),
    "openai/eurosat3": _listed(_EUROSAT),
}
_WHAT_TO_GIVE: Final = (
    'give words: class_names = "names.csv" (number or name of the source, words), a released list, or a column '
    "label_name in the Parquet file"
)


def doubtful(name: str) -> bool:
    """Whether a class name is a number, "class 0", or an id: words that a text tower has no picture of."""
    return any(pattern.fullmatch(name.strip()) is not None for pattern in (_AS_A_NUMBER, _WORDNET, _HEX))


def name_caution(transfer_set: str, names: Sequence[str], template: str | Sequence[str]) -> str | None:
    """Return a warning, with what to give, where prompts would hold numbers or ids instead of words; else None.

    Such prompts give a zero-shot accuracy near chance, and retention of nothing.
    """
    wrong = [name for name in names if doubtful(name)]
    if not wrong:
        return None
    first = (template if isinstance(template, str) else template[0]).replace("{}", wrong[0])
    many = f"{len(wrong)} of {len(names)} class names are" if len(wrong) < len(names) else "its class names are"
    return (
        f"{transfer_set}: {many} no words but numbers or ids ({listed(map(repr, wrong))}), so a prompt would say "
        f"{first!r}; {_WHAT_TO_GIVE}"
    )


def templates_of(template: str | Sequence[str]) -> tuple[str, ...]:
    """Return the templates of a transfer set: one, several, or those of a released list.

    Raises
    ------
    UnknownNameError : a text without {} is the name of a list, and there is none of that name.
    DataError : one of several has no place for the class name.
    """
    if isinstance(template, str):
        if "{" in template:
            return (template,)
        if template not in TEMPLATES:
            raise UnknownNameError("template", template, TEMPLATES, where="(a prompt of your own needs one {})")
        return TEMPLATES[template]
    placeless = [text for text in template if "{" not in text]
    if placeless:
        raise DataError(f"template {placeless[0]!r} has no {{}}", hint="write one {} where the class name goes")
    return tuple(template)
