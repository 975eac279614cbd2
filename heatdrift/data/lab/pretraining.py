"""Image-caption pairs for contrastive pretraining; no held-out combination is ever among them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from heatdrift.data.lab.captions import BACKGROUND_WORDS, HELD_OUT, TEMPLATES, write_captions
from heatdrift.data.lab.scene import draw_objects

SAY_BACKGROUND: Final = 0.3  # share of captions that name the background
SEEN: Final = np.argwhere(~HELD_OUT)  # (n, 3): every combination that pretraining may draw


def pick(rng: np.random.Generator, n: int, count: int) -> NDArray[np.int64]:
    """Return n indices below `count`, uniform."""
    return np.floor(count * rng.random(n)).astype(np.int64)


def draw_pretraining_batch(rng: np.random.Generator, n: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Draw n captioned images.

    Parameters
    ----------
    rng : decides content, templates and pixels.
    n : number of pairs.

    Returns
    -------
    pixels (n, 28, 28, 3) uint8 and n captions, such as "a photo of a striped red star on a navy background.".
    """
    combinations = SEEN[pick(rng, n, len(SEEN))]
    backgrounds = pick(rng, n, len(BACKGROUND_WORDS))
    templates = pick(rng, n, len(TEMPLATES))
    captions = write_captions(combinations, backgrounds, templates, rng.random(n) < SAY_BACKGROUND)
    return draw_objects(rng, combinations, backgrounds), captions
