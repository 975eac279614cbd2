import base64
import io
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from heatdrift.report import map_images
from heatdrift.report.blocks import Gallery, Note
from heatdrift.report.gallery_choice import gallery_candidates
from heatdrift.report.sections.gallery import MAX_IMAGES, gallery, map_entropy, map_support


def decoded(uri):
    """The picture of a data URI in RGBA."""
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))).convert("RGBA")


@pytest.fixture(scope="module")
def shown(builders, study):
    return replace(study, gallery=builders.gallery(study.runs))


@pytest.fixture(scope="module")
def figures(shown):
    return [b for b in gallery(shown).blocks if isinstance(b, Gallery)]


def test_the_choice_is_the_median_seed_at_the_lowest_and_highest_learning_rate(study):
    chosen = gallery_candidates(study.runs)
    assert len(chosen) == 8  # 2 data sets x 2 methods x 2 learning rates
    first = study.runs.filter(pl.col("cell_id").is_in(chosen[0]))
    assert first.select("dataset", "method", "lr").unique().rows() == [("shapes", "full_ft", 1e-5)]
    median = first.filter(pl.col("cell_id") == chosen[0][0])["delta_entropy_pct"].item()
    assert median == first["delta_entropy_pct"].median()


def test_the_choice_does_not_depend_on_the_order_of_rows_nor_on_unfinished_runs(study):
    worse = study.runs.with_columns(status=pl.lit("failed"), cell_id=pl.col("cell_id") + "x", lr=pl.lit(1.0))
    shuffled = pl.concat([worse, study.runs]).sample(fraction=1.0, shuffle=True, seed=3)
    assert gallery_candidates(shuffled) == gallery_candidates(study.runs)


def test_without_the_metric_the_lowest_seed_comes_first(study):
    bare = study.runs.with_columns(delta_entropy_pct=pl.lit(None, dtype=pl.Float64))
    (first, *_), *_ = gallery_candidates(bare)
    assert bare.filter(pl.col("cell_id") == first)["seed"].item() == 7
    assert gallery_candidates(study.runs.clear()) == []


def test_every_place_shows_base_adapted_and_difference_of_the_same_images(figures):
    assert [f.figure_id for f in figures] == [
        "fig-gallery-1-class", "fig-gallery-1-rollout", "fig-gallery-2-class", "fig-gallery-2-rollout",
    ]  # fmt: skip
    first = figures[0]
    base, *runs = first.rows
    assert base.label == "Pretrained model"
    assert [len(cell) for cell in base.cells] == [1] * MAX_IMAGES
    assert [[len(cell) for cell in row.cells] for row in runs] == [[2] * MAX_IMAGES] * 4
    assert all(picture.alt for row in first.rows for cell in row.cells for picture in cell)
    assert len(first.table.rows) == 4 * MAX_IMAGES


def test_the_numbers_of_the_table_are_those_of_the_maps(figures, shown):
    (cell_id, *_), *_ = gallery_candidates(shown.runs)
    row = shown.gallery[cell_id]["adapted_class"][0, -1].astype(float)
    row = row / row.sum()
    entropy = -(row * np.log(row)).sum()
    assert figures[0].table.rows[0][4] == f"{entropy:.3g}"
    assert map_support(np.full(20, 0.05)) == pytest.approx(0.95)
    assert map_entropy(np.array([0.5, 0.5, 0.0]), 2.0) == pytest.approx(1.0)


def test_maps_are_one_pixel_per_patch_and_differences_are_clear_at_zero():
    values = np.array([[0.0, 1.0], [2.0, 9.0]])
    picture = decoded(map_images.map_png(values, limit=2.0))
    assert picture.size == (2, 2)
    assert picture.getpixel((0, 0))[:3] == map_images.CIVIDIS[0]
    assert picture.getpixel((0, 1)) == picture.getpixel((1, 1)) == (*map_images.CIVIDIS[-1], 255)
    signed = decoded(map_images.difference_png(np.array([[0.0, -1.0], [1.0, 5.0]]), limit=1.0))
    assert signed.getpixel((0, 0))[3] == 0
    assert signed.getpixel((1, 0)) == (*map_images.LESS, 255)
    assert signed.getpixel((0, 1)) == signed.getpixel((1, 1)) == (*map_images.MORE, 255)


def test_photographs_appear_only_where_they_are_handed_over(shown, figures):
    assert not any(row.label == "Probe image" for figure in figures for row in figure.rows)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format="PNG")
    one = replace(shown, pictures={f"{1:064x}": buffer.getvalue()})
    (first, *_) = [b for b in gallery(one).blocks if isinstance(b, Gallery)]
    assert first.rows[0].label == "Probe image"
    assert [len(cell) for cell in first.rows[0].cells] == [0, 1, 0, 0]


def test_damaged_maps_are_named_and_the_rest_is_shown(shown):
    (broken, *_), (odd, *_), (short, *_), *_ = gallery_candidates(shown.runs)
    maps = {cell: dict(arrays) for cell, arrays in shown.gallery.items()}
    maps[broken]["adapted_class"] = np.full_like(maps[broken]["adapted_class"], np.nan)
    maps[odd] = {k: v[..., :15] if "_" in k else v for k, v in maps[odd].items()}
    del maps[short]["base_rollout"]
    section = gallery(replace(shown, gallery=maps))
    said = " ".join(b.text for b in section.blocks if isinstance(b, Note))
    assert "is damaged" in said
    assert "form no square" in said
    assert "base_rollout" in said
    (first, *_) = [b for b in section.blocks if isinstance(b, Gallery)]
    assert len(first.rows) == 2  # the base and the one run of this data set that is left


def test_a_run_with_other_probe_images_is_left_out(shown):
    (other, *_) = gallery_candidates(shown.runs)[1]
    maps = {cell: dict(arrays) for cell, arrays in shown.gallery.items()}
    maps[other]["sha256"] = np.array([f"{99 + i:064x}" for i in range(5)])
    section = gallery(replace(shown, gallery=maps))
    assert any("1 run of shapes not shown" in b.text for b in section.blocks if isinstance(b, Note))


def test_without_maps_the_section_says_so(study):
    (note,) = gallery(study).blocks
    assert "No attention maps" in note.text
