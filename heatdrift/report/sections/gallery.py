"""The attention gallery: the same probe images seen by the pretrained and by adapted models, and the difference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift import wording
from heatdrift.report import map_images
from heatdrift.report.blocks import Block, Gallery, GalleryRow, LegendEntry, Note, Picture, ScaleBar, Section
from heatdrift.report.gallery_choice import RULE
from heatdrift.report.inputs import Maps, ReportInput
from heatdrift.report.tables import text_table
from heatdrift.report.theme import method_styles

Floats = npt.NDArray[np.float64]
Kind = Literal["class", "rollout"]
KINDS: Final[dict[Kind, tuple[str, str, float]]] = {  # title, unit and base of entropy (as the probes have them)
    "class": ("last block", "nats", np.e),
    "rollout": ("rollout over all blocks", "bits", 2.0),
}
MAX_IMAGES: Final = 4
MAX_PLACES: Final = 2
MAX_RUNS: Final = 9  # of one place
CLIPPED: Final = 99.0  # percentile of the values at which a colour scale ends: one hot patch must not darken all maps


@dataclass(frozen=True, slots=True)
class _Run:
    """One adapted model: who it is, and its maps and the base's, (images, patches) each, rows sum to 1."""

    place: str
    method: str
    lr: float
    seed: int | None
    sha256: tuple[str, ...]
    base: dict[Kind, Floats]
    adapted: dict[Kind, Floats]


def gallery(inp: ReportInput) -> Section:
    """Return one gallery per place and kind of map; notes where there is none or where something was left out."""
    runs, problems = _runs(inp)
    places = sorted({run.place for run in runs})
    blocks: list[Block] = []
    for i, place in enumerate(places[:MAX_PLACES], start=1):
        here = [run for run in runs if run.place == place]
        first = here[0]
        same = [run for run in here if set(run.sha256) >= set(first.sha256[:MAX_IMAGES])][:MAX_RUNS]
        if len(same) < len(here):
            problems.append(
                f"{wording.counted(len(here) - len(same), 'run')} of {place} not shown: other probe images, or more "
                f"than {MAX_RUNS} runs."
            )
        blocks += [_figure(same, kind, inp.pictures, f"fig-gallery-{i}-{kind}") for kind in KINDS]
    if len(places) > MAX_PLACES:
        problems.append(f"Shown: {MAX_PLACES} of {len(places)} data sets.")
    blocks += [Note(text=text, tone="missing") for text in problems]
    if not runs:
        text = "No attention maps were kept for these runs (imported records have none), so no image is shown."
        blocks.append(Note(text=text, tone="missing"))
    lead = "Where the class token looks in the same probe images before and after fine-tuning. " if runs else ""
    return Section(
        section_id="gallery", title="Attention gallery", lead=lead + RULE if runs else "", blocks=tuple(blocks)
    )


def _runs(inp: ReportInput) -> tuple[list[_Run], list[str]]:
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
        found.append(_Run(place, method, lr, seed, hashes, base, adapted))
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


def _figure(runs: Sequence[_Run], kind: Kind, pictures: Mapping[str, bytes], figure_id: str) -> Gallery:
    title, unit, base_of_log = KINDS[kind]
    shown = runs[0].sha256[:MAX_IMAGES]
    n_patches = runs[0].base[kind].shape[1]
    # in multiples of uniform attention, so that maps of different backbones read alike
    before = _of(runs[0].base[kind], runs[0].sha256, shown) * n_patches
    after = [_of(run.adapted[kind], run.sha256, shown) * n_patches for run in runs]
    limit = float(np.percentile(np.stack([before, *after]), CLIPPED)) or 1.0
    change = float(np.percentile(np.abs(np.stack(after) - before), CLIPPED)) or 1.0

    def measures(row: Floats) -> tuple[float, float]:
        row = row / row.sum()
        return map_entropy(row, base_of_log), map_support(row)

    def described(row: Floats) -> str:
        bits, share = measures(row)
        return f"entropy {wording.number(bits)} {unit}, support {wording.number(share, 2)}"

    def grid(row: Floats) -> Floats:
        found = map_images.square(row)
        assert found is not None  # `_checked` has seen to it
        return found

    rows: list[GalleryRow] = []
    photos = tuple(
        (Picture(src=map_images.png_uri(pictures[sha]), alt=f"image {i}", look="photo"),) if sha in pictures else ()
        for i, sha in enumerate(shown, start=1)
    )
    if any(photos):
        rows.append(GalleryRow(label="Probe image", detail="", entry=None, cells=photos))
    base_cells = tuple(
        (Picture(src=map_images.map_png(grid(row), limit), alt=f"image {i}, pretrained model: {described(row)}"),)
        for i, row in enumerate(before, start=1)
    )
    rows.append(GalleryRow(label="Pretrained model", detail="base", entry=None, cells=base_cells))
    lines: list[tuple[str, ...]] = []
    styles = {style.name: style for style in method_styles([run.method for run in runs])}
    for run, maps in zip(runs, after, strict=True):
        name = f"{wording.method_title(run.method)} at {wording.learning_rate(run.lr)}"
        cells = []
        for i, (row, old) in enumerate(zip(maps, before, strict=True), start=1):
            (h0, s0), (h1, s1) = measures(old), measures(row)
            lines.append(
                (name, "–" if run.seed is None else str(run.seed), str(i), wording.number(h0), wording.number(h1),
                 wording.signed(h1 - h0), wording.number(s0), wording.number(s1), wording.signed(s1 - s0))
            )  # fmt: skip
            cells.append(
                (
                    Picture(src=map_images.map_png(grid(row), limit), alt=f"image {i}, {name}: {described(row)}"),
                    Picture(
                        src=map_images.difference_png(grid(row - old), change),
                        alt=f"image {i}, {name} minus pretrained: entropy {wording.signed(h1 - h0)} {unit}",
                        look="difference",
                    ),
                )
            )
        seed = "" if run.seed is None else f", seed {run.seed}"
        entry = LegendEntry.of(styles[run.method])
        detail = f"{wording.learning_rate(run.lr)}{seed}"
        rows.append(GalleryRow(label=styles[run.method].title, detail=detail, entry=entry, cells=tuple(cells)))
    heads = ("run", "seed", "image", f"entropy, base ({unit})", f"adapted ({unit})", f"difference ({unit})",
             "erf95, base", "adapted", "difference")  # fmt: skip
    ramp = np.linspace(0, limit, map_images.LEVELS)[np.newaxis, :]
    both = np.linspace(-change, change, map_images.LEVELS + 1)[np.newaxis, :]
    return Gallery(
        figure_id=figure_id,
        title=f"{runs[0].place}: attention of the class token, {title}",
        caption="Left of each pair the adapted model's map, right its difference from the pretrained model's. "
        f"Attention over {n_patches:,} patches, mean over heads, in multiples of uniform attention; one scale for all "
        f"maps here, cut at the {CLIPPED:g}th percentile.",
        images=tuple(f"image {i}" for i in range(1, len(shown) + 1)),
        rows=tuple(rows),
        scales=(
            ScaleBar(src=map_images.map_png(ramp, limit), label="attention (× uniform)", low="0",
                     high=f"≥ {wording.number(limit, 2)}"),
            ScaleBar(src=map_images.difference_png(both, change), label="difference (× uniform)",
                     low=f"≤ {wording.number(-change, 2)}", high=f"≥ {wording.number(change, 2)}"),
        ),
        table=text_table(
            f"Entropy and support (erf95) of the maps shown for {runs[0].place}, {title}; of the mean over heads, "
            "so not the mean entropy over heads of the other sections",
            heads, lines, text_columns=1,
        ),
    )  # fmt: skip


def _of(maps: Floats, hashes: Sequence[str], shown: Sequence[str]) -> Floats:
    """Return the maps of the images `shown`, in that order."""
    return maps[[hashes.index(sha) for sha in shown]]


def map_entropy(row: Floats, base: float = math.e) -> float:
    """Return the entropy of a row that sums to 1, in nats (or bits with `base` 2); 0 ln 0 counts as 0."""
    positive = row[row > 0]
    return float(-(positive * np.log(positive)).sum() / math.log(base))


def map_support(row: Floats) -> float:
    """Return erf95 of a row that sums to 1: the smallest share of patches that holds 95 % of the attention."""
    descending = np.cumsum(np.sort(row)[::-1])
    return float(np.searchsorted(descending, 0.95 - 1e-9) + 1) / row.size
