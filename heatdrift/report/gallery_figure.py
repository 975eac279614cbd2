"""One probe image at a time along the learning rates: the pretrained model's map, the adapted ones', differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from heatdrift import wording
from heatdrift.report import map_images
from heatdrift.report.blocks import Gallery, GalleryRow, GalleryView, LegendEntry, Picture, ScaleBar, Table
from heatdrift.report.tables import text_table
from heatdrift.report.theme import method_styles

Floats = npt.NDArray[np.float64]
Kind = Literal["class", "rollout"]
KINDS: Final[dict[Kind, tuple[str, str, float]]] = {  # title, unit and base of entropy (as the probes have them)
    "class": ("last block", "nats", np.e),
    "rollout": ("rollout over all blocks", "bits", 2.0),
}
MAX_IMAGES: Final = 2  # each costs a page some 15 kB per data set
CLIPPED: Final = 99.0  # percentile of the values at which a colour scale ends: one hot patch must not darken all maps


@dataclass(frozen=True, slots=True)
class MappedRun:
    """One adapted model: who it is, and its maps and the base's, (images, patches) each, rows sum to 1."""

    place: str
    method: str
    lr: float
    seed: int | None
    sha256: tuple[str, ...]
    base: dict[Kind, Floats]
    adapted: dict[Kind, Floats]

    @property
    def name(self) -> str:
        """Method and learning rate in words."""
        return f"{wording.method_title(self.method)} at {wording.learning_rate(self.lr)}"

    def maps(self, kind: Kind, shown: Sequence[str]) -> tuple[Floats, Floats]:
        """Maps of base and adapted of the images `shown`, in multiples of uniform attention: (images, patches)."""
        rows = [self.sha256.index(sha) for sha in shown]
        n_patches = self.base[kind].shape[1]  # so that maps of different backbones read alike
        return self.base[kind][rows] * n_patches, self.adapted[kind][rows] * n_patches


def gallery_figure(runs: Sequence[MappedRun], pictures: Mapping[str, bytes], figure_id: str) -> Gallery:
    """Return the gallery of one data set: a view for each kind of map and image.

    `runs` have the first `MAX_IMAGES` images of the first of them; `pictures`: hash of an image -> PNG.
    """
    shown = runs[0].sha256[:MAX_IMAGES]
    n_patches = runs[0].base["class"].shape[1]
    views = [view for kind in KINDS for view in _views(runs, kind, shown)]
    photos = tuple(
        (number, Picture(src=map_images.png_uri(pictures[sha]), alt=f"probe image {number}", look="photo"))
        for number, sha in enumerate(shown, start=1)
        if sha in pictures
    )
    more = f" On paper: image 1 of {len(shown)}." if len(shown) > 1 else ""
    return Gallery(
        figure_id=figure_id,
        title=f"{runs[0].place}: attention of the class token along the learning rates",
        caption="Of each method above the model's map, below it its difference from the base's, the pretrained model. "
        f"Attention over {n_patches:,} patches, mean over heads, in multiples of uniform attention; one scale for all "
        f"models and images of a kind of map, cut at the {CLIPPED:g}th percentile.{more}",
        views=tuple(views),
        photos=photos,
        table=_table(runs, shown),
    )


def _views(runs: Sequence[MappedRun], kind: Kind, shown: Sequence[str]) -> list[GalleryView]:
    maps = {(run.method, run.lr): run.maps(kind, shown) for run in runs}
    base = runs[0].maps(kind, shown)[0]
    limit = float(np.percentile(np.stack([base, *(after for _, after in maps.values())]), CLIPPED)) or 1.0
    moved = np.stack([np.abs(after - base) for _, after in maps.values()])
    change = float(np.percentile(moved, CLIPPED)) or 1.0
    styles = method_styles([run.method for run in runs])
    lrs = sorted({run.lr for run in runs})
    views = []
    for i in range(len(shown)):
        before = Picture(
            src=map_images.map_png(_grid(base[i]), limit), alt=f"pretrained model: {_described(base[i], kind)}"
        )
        rows = [
            GalleryRow(
                label=style.title,
                entry=LegendEntry.of(style),
                cells=(
                    (before,),
                    *(
                        _pair(maps[style.name, lr][1][i], base[i], kind, (limit, change), style.title, lr)
                        if (style.name, lr) in maps
                        else ()
                        for lr in lrs
                    ),
                ),
            )
            for style in styles
        ]
        views.append(
            GalleryView(
                kind=kind,
                title=KINDS[kind][0],
                image=i + 1,
                columns=("base", *(wording.learning_rate(lr) for lr in lrs)),
                rows=tuple(rows),
                scales=_scales(limit, change),
            )
        )
    return views


def _pair(
    row: Floats, old: Floats, kind: Kind, limits: tuple[float, float], method: str, lr: float
) -> tuple[Picture, Picture]:
    """Return the map of an adapted model and its difference from the base's."""
    name = f"{method} at {wording.learning_rate(lr)}"
    moved = _measures(row, kind)[0] - _measures(old, kind)[0]
    return (
        Picture(src=map_images.map_png(_grid(row), limits[0]), alt=f"{name}: {_described(row, kind)}"),
        Picture(
            src=map_images.difference_png(_grid(row - old), limits[1]),
            alt=f"{name} minus pretrained: entropy {wording.signed(moved)} {KINDS[kind][1]}",
            look="difference",
        ),
    )


def _scales(limit: float, change: float) -> tuple[ScaleBar, ScaleBar]:
    ramp = np.linspace(0, limit, map_images.LEVELS)[np.newaxis, :]
    both = np.linspace(-change, change, map_images.LEVELS + 1)[np.newaxis, :]
    return (
        ScaleBar(
            src=map_images.map_png(ramp, limit), label="attention (× uniform)", low="0",
            high=f"≥ {wording.number(limit, 2)}",
        ),
        ScaleBar(
            src=map_images.difference_png(both, change), label="difference (× uniform)",
            low=f"≤ {wording.number(-change, 2)}", high=f"≥ {wording.number(change, 2)}",
        ),
    )  # fmt: skip


def _table(runs: Sequence[MappedRun], shown: Sequence[str]) -> Table:
    heads = ("run", "seed", "map", "image", "entropy, base", "adapted", "difference", "erf95, base", "adapted")
    lines: list[tuple[str, ...]] = []
    for run in runs:
        for kind, (title, unit, _) in KINDS.items():
            for i, (old, row) in enumerate(zip(*run.maps(kind, shown), strict=True), start=1):
                (h0, s0), (h1, s1) = _measures(old, kind), _measures(row, kind)
                lines.append(
                    (run.name, "–" if run.seed is None else str(run.seed), f"{title} ({unit})", str(i),
                     wording.number(h0), wording.number(h1), wording.signed(h1 - h0), wording.number(s0),
                     wording.number(s1))
                )  # fmt: skip
    caption = (
        f"Entropy and support (erf95) of the maps shown for {runs[0].place}; of the mean over heads, so not the mean "
        "entropy over heads of the other sections"
    )
    return text_table(caption, heads, lines, text_columns=3)


def _grid(row: Floats) -> Floats:
    found = map_images.square(row)
    assert found is not None  # whoever reads the maps has seen to it
    return found


def _described(row: Floats, kind: Kind) -> str:
    entropy, share = _measures(row, kind)
    return f"entropy {wording.number(entropy)} {KINDS[kind][1]}, support {wording.number(share, 2)}"


def _measures(row: Floats, kind: Kind) -> tuple[float, float]:
    shares = row / row.sum()
    return map_entropy(shares, KINDS[kind][2]), map_support(shares)


def map_entropy(row: Floats, base: float = math.e) -> float:
    """Return the entropy of a row that sums to 1, in nats (or bits with `base` 2); 0 ln 0 counts as 0."""
    positive = row[row > 0]
    return float(-(positive * np.log(positive)).sum() / math.log(base))


def map_support(row: Floats) -> float:
    """Return erf95 of a row that sums to 1: the smallest share of patches that holds 95 % of the attention."""
    descending = np.cumsum(np.sort(row)[::-1])
    return float(np.searchsorted(descending, 0.95 - 1e-9) + 1) / row.size
