"""The attention gallery: the same probe images seen by the pretrained and by adapted models, and the difference."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift import wording
from heatdrift.report import map_images
from heatdrift.report.blocks import Block, Note, Section
from heatdrift.report.gallery_choice import MAX_METHODS, MAX_PLACES, RULE
from heatdrift.report.gallery_figure import KINDS, MAX_IMAGES, Floats, Kind, MappedRun, gallery_figure
from heatdrift.report.inputs import Maps, ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.theme import method_styles


def gallery(inp: ReportInput) -> Section:
    """Return one gallery per place; notes where there is none or where something was left out."""
    runs, problems = _runs(inp)
    places = sorted({run.place for run in runs})
    blocks: list[Block] = []
    for i, place in enumerate(places[:MAX_PLACES], start=1):
        here = [run for run in runs if run.place == place]
        first = here[0]
        same = [run for run in here if set(run.sha256) >= set(first.sha256[:MAX_IMAGES])]
        if len(same) < len(here):
            left_out = wording.counted(len(here) - len(same), "run")
            problems.append(f"{left_out} of {place} not shown: other probe images.")
        blocks += figure_or_note(
            f"attention gallery of {place}", partial(gallery_figure, same, inp.pictures, f"fig-gallery-{i}"), {}
        )
    if runs:
        problems += _left_out(inp, places[:MAX_PLACES])
    blocks += [Note(text=text, tone="missing") for text in problems]
    if not runs:
        text = "No attention maps were kept for these runs (imported records have none), so no image is shown."
        blocks.append(Note(text=text, tone="missing"))
    lead = "Where the class token looks in the same probe images before and after fine-tuning. " if runs else ""
    return Section(
        section_id="gallery", title="Attention gallery", lead=lead + RULE if runs else "", blocks=tuple(blocks)
    )


def _left_out(inp: ReportInput, shown: list[str]) -> list[str]:
    """Return in sentences which data sets and methods have no place in the gallery."""
    said = []
    places = inp.done["place"].unique().to_list()
    if len(places) > MAX_PLACES:
        said.append(f"Shown: {len(shown)} of {len(places)} data sets.")
    for place in shown:
        n = inp.done.filter(pl.col("place") == place)["method"].n_unique()
        if n > MAX_METHODS:
            said.append(f"Shown of {place}: {MAX_METHODS} of {n} methods.")
    return said


def _runs(inp: ReportInput) -> tuple[list[MappedRun], list[str]]:
    order = [style.name for style in method_styles(inp.done["method"].drop_nulls().to_list())]
    found, problems = [], []
    columns = inp.done.filter(pl.col("cell_id").is_in(list(inp.gallery))).select(
        "cell_id", "place", "method", "lr", "seed"
    )
    for cell_id, place, method, lr, seed in columns.iter_rows():
        try:
            hashes, base, adapted = _checked(inp.gallery[cell_id])
        except (KeyError, ValueError, IndexError) as error:
            problems.append(
                f"The maps of {wording.method_title(method)} at {wording.learning_rate(lr)} cannot be shown: {error}."
            )
            continue
        found.append(MappedRun(place, method, lr, seed, hashes, base, adapted))
    return sorted(found, key=lambda r: (r.place, order.index(r.method), r.lr)), problems


def _checked(arrays: Maps) -> tuple[tuple[str, ...], dict[Kind, Floats], dict[Kind, Floats]]:
    """Return hashes and (images, patches) maps of base and adapted; ValueError where they are damaged."""

    def rows(name: str) -> Floats:
        raw: npt.NDArray[Any] = np.asarray(arrays[name], dtype=np.float64)
        last = raw[:, -1, :] if raw.ndim == 3 else raw
        if last.ndim != 2 or not np.isfinite(last).all() or not (last.sum(axis=-1) > 0).all():
            raise ValueError(f"{name} is damaged")
        if map_images.square(last[0]) is None:
            raise ValueError(f"{last.shape[1]} patches form no square")
        scaled: Floats = last / last.sum(axis=-1, keepdims=True)
        return scaled

    hashes = tuple(str(sha) for sha in arrays["sha256"])
    base: dict[Kind, Floats] = {kind: rows(f"base_{kind}") for kind in KINDS}
    adapted: dict[Kind, Floats] = {kind: rows(f"adapted_{kind}") for kind in KINDS}
    if len({len(hashes), *(len(maps) for maps in (*base.values(), *adapted.values()))}) > 1 or not hashes:
        raise ValueError("images and maps differ in number")
    return hashes, base, adapted
