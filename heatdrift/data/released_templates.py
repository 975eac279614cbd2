"""Released lists of prompt templates, by name. A list never changes once it is here.

OpenAI's, of github.com/openai/CLIP: ``data/prompts.md`` (a list for each data set of the paper) and
``notebooks/Prompt_Engineering_for_ImageNet.ipynb`` (80 templates, and 7 of them that do as well).
"""

from typing import Final

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
_CALTECH: Final = """
a photo of a {}. | a painting of a {}. | a plastic {}. | a sculpture of a {}. | a sketch of a {}. | a tattoo of a {}. |
a toy {}. | a rendition of a {}. | a embroidered {}. | a cartoon {}. | a {} in a video game. | a plushie {}. | a
origami {}. | art of a {}. | graffiti of a {}. | a drawing of a {}. | a doodle of a {}. | a photo of the {}. | a
painting of the {}. | the plastic {}. | a sculpture of the {}. | a sketch of the {}. | a tattoo of the {}. | the toy
{}. | a rendition of the {}. | the embroidered {}. | the cartoon {}. | the {} in a video game. | the plushie {}. | the
origami {}. | art of the {}. | graffiti of the {}. | a drawing of the {}. | a doodle of the {}.
"""
_COUNTRY: Final = """
a photo i took in {}. | a photo i took while visiting {}. | a photo from my home country of {}. | a photo from my visit
to {}. | a photo showing the country of {}.
"""
_TEXTURES: Final = """
a photo of a {} texture. | a photo of a {} pattern. | a photo of a {} thing. | a photo of a {} object. | a photo of the
{} texture. | a photo of the {} pattern. | a photo of the {} thing. | a photo of the {} object.
"""
_AIRCRAFT: Final = "a photo of a {}, a type of aircraft. | a photo of the {}, a type of aircraft."
_SIGNS: Final = """
a zoomed in photo of a "{}" traffic sign. | a centered photo of a "{}" traffic sign. | a close up photo of a "{}"
traffic sign.
"""
_RESISC: Final = """
satellite imagery of {}. | aerial imagery of {}. | satellite photo of {}. | aerial photo of {}. | satellite view of {}.
| aerial view of {}. | satellite imagery of a {}. | aerial imagery of a {}. | satellite photo of a {}. | aerial photo
of a {}. | satellite view of a {}. | aerial view of a {}. | satellite imagery of the {}. | aerial imagery of the {}. |
satellite photo of the {}. | aerial photo of the {}. | satellite view of the {}. | aerial view of the {}.
"""
_CARS: Final = """
a photo of a {}. | a photo of the {}. | a photo of my {}. | i love my {}! | a photo of my dirty {}. | a photo of my
clean {}. | a photo of my new {}. | a photo of my old {}.
"""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("|"))


TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "openai/imagenet80": _listed(_IMAGENET),
    "openai/imagenet7": _listed(_IMAGENET_SEVEN),
    "openai/aircraft2": _listed(_AIRCRAFT),
    "openai/birds1": ("a photo of a {}, a type of bird.",),
    "openai/caltech34": _listed(_CALTECH),
    "openai/cars8": _listed(_CARS),
    "openai/cifar18": _listed(_CIFAR),
    "openai/country5": _listed(_COUNTRY),
    "openai/eurosat3": _listed(_EUROSAT),
    "openai/flowers1": ("a photo of a {}, a type of flower.",),
    "openai/food1": ("a photo of {}, a type of food.",),
    "openai/gtsrb3": _listed(_SIGNS),
    "openai/pets1": ("a photo of a {}, a type of pet.",),
    "openai/resisc18": _listed(_RESISC),
    "openai/stl2": ("a photo of a {}.", "a photo of the {}."),
    "openai/sun2": ("a photo of a {}.", "a photo of the {}."),
    "openai/textures8": _listed(_TEXTURES),
}
