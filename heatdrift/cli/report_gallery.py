"""Attention maps and, where the images are at hand, photographs for the gallery of a report."""

import hashlib
import io
from typing import TYPE_CHECKING, Any

from heatdrift.cli.output import note
from heatdrift.errors import HeatdriftError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl
    from PIL import Image

    from heatdrift.cli.workspace import KeptPlan, Workspace
    from heatdrift.crop_plan import Preprocess
    from heatdrift.report.inputs import Maps

_SHOWN_SIDE = 96  # pixels of a photograph on the page: thumbnails keep the file small


def gallery_maps(runs: "pl.DataFrame", folder: "Path") -> "dict[str, Maps]":
    """Return cell id -> arrays of gallery.npz: of each choice of the gallery the first run that has a readable file.

    The first data sets that have any are enough: of a large grid the others are not read.
    """
    from heatdrift.report.gallery_choice import MAX_PLACES, gallery_candidates
    from heatdrift.report.inputs import with_place
    from heatdrift.store.folder import read_arrays

    place_of = dict(with_place(runs).select("cell_id", "place").iter_rows())
    found: dict[str, Maps] = {}
    places: set[str] = set()
    for candidates in gallery_candidates(runs):
        place = place_of[candidates[0]]
        if len(places) == MAX_PLACES and place not in places:
            break
        for cell_id in candidates:
            try:
                arrays = read_arrays(folder / cell_id, "gallery")
            except HeatdriftError as error:
                note(f"left out of the report: {error.message}")
                continue
            if arrays:
                found[cell_id] = arrays
                places.add(place)
                break
    return found


def probe_pictures(
    plan: "KeptPlan | None", work: "Workspace", study: str, maps: "Mapping[str, Maps]", data_dir: "Path | None" = None
) -> "dict[str, bytes]":
    """Return hash -> PNG thumbnail of the probe images in `maps`, of those whose source is at hand and agrees.

    A crop is shown only if its bytes have the hash that is kept with the maps, so a picture is never of another image.
    """
    if plan is None:
        return {}
    from heatdrift.store.folder import cell_folder, current_record
    from heatdrift.train.inputs import open_train

    by_cell = {cell.cell_id: cell for cell in plan.cells}
    found: dict[str, bytes] = {}
    without: dict[str, str] = {}
    for cell_id, arrays in maps.items():
        cell = by_cell.get(cell_id)
        if cell is None or cell.dataset not in plan.study.datasets or cell.dataset in without:
            continue
        wanted = [(int(p), str(h)) for p, h in zip(arrays["positions"], arrays["sha256"], strict=True)]
        if all(sha in found for _, sha in wanted):
            continue
        spec, seed = plan.study.datasets[cell.dataset], plan.study.train.data_seed
        try:
            record = current_record(cell_folder(work.store_folder, study, cell_id))
            preprocess = record.provenance.preprocess if record is not None else None
            if preprocess is None or not preprocess.antialias:  # Pillow cannot resize without antialiasing
                continue
            images = open_train(spec, work.data_folder(plan.study, None, data_dir), data_seed=seed)
            for position, sha in wanted:
                crop = _crop(images.read(position), preprocess)
                if _sha256(crop) == sha:
                    found[sha] = _png(crop)
        except HeatdriftError as error:
            without[cell.dataset] = error.message
    if without:
        reasons = "; ".join(dict.fromkeys(without.values()))
        note(
            f"no photographs of {', '.join(without)}: {reasons}. The attention maps are shown without their pictures, "
            "all else is the same; give the folder of the images with --data-dir, or say --no-images"
        )
    return found


def _crop(picture: "Image.Image", preprocess: "Preprocess") -> "Image.Image":
    """Resize the shorter side and crop the centre, as data/transforms.py does, without torch."""
    from PIL import Image

    width, height = picture.size
    size, side = preprocess.size, preprocess.shorter_side
    short = min(width, height)
    scaled = (int(side * width / short), int(side * height / short))
    resampling = Image.Resampling[preprocess.interpolation.upper()]
    resized = picture.resize(scaled, resampling) if scaled != picture.size else picture
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def _sha256(crop: "Image.Image") -> str:
    import numpy as np

    pixels: np.ndarray[Any, np.dtype[np.uint8]] = np.asarray(crop).transpose(2, 0, 1)
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _png(crop: "Image.Image") -> bytes:
    side = min(_SHOWN_SIDE, crop.size[0])
    buffer = io.BytesIO()
    crop.resize((side, side)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
