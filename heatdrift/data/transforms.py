"""A backbone's preprocessing, written down, up to the 8-bit crop; normalisation is left to the forward pass.

Resizing and cropping happen on 8-bit pictures, exactly as open_clip's evaluation transform does, so the crops of a data
set can be kept as bytes and shared by all cells.
"""

import numpy as np
from numpy.typing import NDArray
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from heatdrift.data.images import LabelledImages
from heatdrift.records import Preprocess


def crops(images: LabelledImages, positions: NDArray[np.int64], preprocess: Preprocess) -> NDArray[np.uint8]:
    """Decode, resize the shorter side and crop the centre of the pictures at `positions`.

    Returns
    -------
    (len(positions), 3, size, size) uint8.

    Raises
    ------
    DataError : a picture does not decode (named).
    """
    size, interpolation = preprocess.size, InterpolationMode(preprocess.interpolation)
    transform = Compose([Resize(size, interpolation, antialias=preprocess.antialias), CenterCrop(size)])
    out = np.empty((len(positions), 3, size, size), dtype=np.uint8)
    for row, position in enumerate(positions.tolist()):
        out[row] = np.asarray(transform(images.read(position))).transpose(2, 0, 1)
    return out
