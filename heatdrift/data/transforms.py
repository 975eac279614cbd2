"""Preprocessing up to the 8-bit crop; normalisation is left to the forward pass.

Resizing and cropping happen on 8-bit pictures, exactly as open_clip's evaluation transform does, so the crops of a data
set can be kept as bytes and shared by all cells. The filter is the backbone's unless a study states another.
"""

import numpy as np
from numpy.typing import NDArray
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

from heatdrift.crop_plan import Preprocess
from heatdrift.data.images import LabelledImages


def crops(images: LabelledImages, positions: NDArray[np.int64], preprocess: Preprocess) -> NDArray[np.uint8]:
    """Decode, resize the shorter side and crop the centre of the pictures at `positions`.

    Without antialiasing, torchvision resizes tensors: on pictures it takes no notice of being asked for none.

    Returns
    -------
    (len(positions), 3, size, size) uint8.

    Raises
    ------
    DataError : a picture does not decode (named).
    """
    size, interpolation = preprocess.size, InterpolationMode(preprocess.interpolation)
    resize = Resize(preprocess.shorter_side, interpolation, antialias=preprocess.antialias)
    before, after = ([], [PILToTensor()]) if preprocess.antialias else ([PILToTensor()], [])
    transform = Compose([*before, resize, CenterCrop(size), *after])
    out = np.empty((len(positions), 3, size, size), dtype=np.uint8)
    for row, position in enumerate(positions.tolist()):
        out[row] = transform(images.read(position)).numpy()
    return out
