"""The words of the lab's world and what is said with them.

A thing is named ``<surface> <colour> <shape>`` ("striped red star"); a caption puts the name, with or without its
background, into one of a few templates. Sixty names are held out: every one of their words is seen in pretraining, the
combination never is.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from heatdrift.data.lab.scene import BACKGROUNDS, COLOURS
from heatdrift.data.lab.shapes import SHAPES
from heatdrift.data.lab.surfaces import SURFACES

TEMPLATES: Final = (
    "a photo of a {}.",
    "a picture of a {}.",
    "a drawing of a {}.",
    "an image of one {}.",
    "this is a {}.",
    "{}",
)
SHAPE_WORDS: Final = tuple(SHAPES)
COLOUR_WORDS: Final = tuple(COLOURS)
SURFACE_WORDS: Final = tuple(SURFACES)
BACKGROUND_WORDS: Final = tuple(BACKGROUNDS)


def _held_out() -> NDArray[np.bool_]:
    """Thirty pairs of colour and shape with two surfaces each, so that all three words of a name must be read.

    Every surface and every colour is held out equally often, every shape four or six times; the other two surfaces of
    a pair stay in pretraining.
    """
    table = np.zeros((len(SURFACE_WORDS), len(COLOUR_WORDS), len(SHAPE_WORDS)), dtype=np.bool_)
    for shape in range(len(SHAPE_WORDS)):
        for colour in range(len(COLOUR_WORDS)):
            if (shape + 3 * colour) % 4 == 0:
                first = (shape // 4 + colour) % 4
                second = (first + 1 + (shape // 4 + colour // 4) % 2) % 4
                table[[first, second], colour, shape] = True
    return table


HELD_OUT: Final = _held_out()  # (surface, colour, shape): True where the combination is never drawn in pretraining


def names(combinations: NDArray[np.int64]) -> list[str]:
    """Class phrases of (n, 3) indices (surface, colour, shape)."""
    return [f"{SURFACE_WORDS[s]} {COLOUR_WORDS[c]} {SHAPE_WORDS[k]}" for s, c, k in combinations.tolist()]


def write_captions(
    combinations: NDArray[np.int64],
    backgrounds: NDArray[np.int64],
    templates: NDArray[np.int64],
    say_background: NDArray[np.bool_],
) -> list[str]:
    """Captions of n drawings.

    Parameters
    ----------
    combinations : (n, 3) indices (surface, colour, shape).
    backgrounds : (n,) index of the background.
    templates : (n,) index into TEMPLATES.
    say_background : (n,) whether the caption names the background.
    """
    phrases = names(combinations)
    return [
        TEMPLATES[t].format(f"{p} on a {BACKGROUND_WORDS[b]} background" if said else p)
        for p, b, t, said in zip(
            phrases, backgrounds.tolist(), templates.tolist(), say_background.tolist(), strict=True
        )
    ]


def pretraining_texts() -> list[str]:
    """Texts that together hold every token of every caption: what pretraining's vocabulary must cover."""
    backgrounds = [f"{name} on a {word} background" for name in ("plain red circle",) for word in BACKGROUND_WORDS]
    things = names(np.argwhere(np.ones_like(HELD_OUT)))
    return [template.format(text) for template in TEMPLATES for text in (*things, *backgrounds)]
