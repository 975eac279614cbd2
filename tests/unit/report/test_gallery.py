import base64
import io
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from heatdrift import wording
from heatdrift.report import map_images
from heatdrift.report.blocks import Gallery, Note
from heatdrift.report.budget import SHORT_TABLE, _shorter
from heatdrift.report.gallery_choice import MAX_LRS, MAX_METHODS, gallery_candidates
from heatdrift.report.gallery_figure import MAX_IMAGES, gallery_figure, map_entropy, map_support
from heatdrift.report.page import render_html
from heatdrift.report.sections.gallery import gallery


def decoded(uri):
    """The picture of a data URI in RGBA."""
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))).convert("RGBA")


@pytest.fixture(scope="module")
def shown(builders, study):
    return replace(study, gallery=builders.gallery(study.runs))


@pytest.fixture(scope="module")
def figures(shown):
    return [b for b in gallery(shown).blocks if isinstance(b, Gallery)]


def test_the_choice_is_the_median_seed_at_every_learning_rate(study):
    chosen = gallery_candidates(study.runs)
    lrs = study.runs["lr"].n_unique()
    assert len(chosen) == 2 * 2 * lrs  # data sets x methods x learning rates
    first = study.runs.filter(pl.col("cell_id").is_in(chosen[0]))
    assert first.select("dataset", "method", "lr").unique().rows() == [("shapes", "full_ft", 1e-5)]
    median = first.filter(pl.col("cell_id") == chosen[0][0])["delta_entropy_pct"].item()
    assert median == first["delta_entropy_pct"].median()


def test_of_many_learning_rates_and_methods_the_ends_and_those_between_are_chosen():
    lrs = [10.0**-i for i in range(15)]
    rows = [
        {"dataset": "a", "method": f"m{m}", "lr": lr, "seed": 1, "cell_id": f"{m}-{lr}", "status": "done",
         "backbone": "b"}
        for m in range(MAX_METHODS + 2) for lr in lrs
    ]  # fmt: skip
    runs = pl.DataFrame(rows)
    chosen = runs.filter(pl.col("cell_id").is_in([first for first, *_ in gallery_candidates(runs)]))
    assert chosen["method"].n_unique() == MAX_METHODS
    own = sorted(chosen.filter(pl.col("method") == "m0")["lr"].to_list())
    assert len(own) == MAX_LRS
    assert (own[0], own[-1]) == (min(lrs), max(lrs))


def test_the_choice_does_not_depend_on_the_order_of_rows_nor_on_unfinished_runs(study):
    worse = study.runs.with_columns(status=pl.lit("failed"), cell_id=pl.col("cell_id") + "x", lr=pl.lit(1.0))
    shuffled = pl.concat([worse, study.runs]).sample(fraction=1.0, shuffle=True, seed=3)
    assert gallery_candidates(shuffled) == gallery_candidates(study.runs)


def test_without_the_metric_the_lowest_seed_comes_first(study):
    bare = study.runs.with_columns(delta_entropy_pct=pl.lit(None, dtype=pl.Float64))
    (first, *_), *_ = gallery_candidates(bare)
    assert bare.filter(pl.col("cell_id") == first)["seed"].item() == 7
    assert gallery_candidates(study.runs.clear()) == []


def test_every_place_shows_base_adapted_and_difference_along_the_learning_rates(figures, shown):
    lrs = sorted(shown.runs["lr"].unique().to_list())
    assert [f.figure_id for f in figures] == ["fig-gallery-1", "fig-gallery-2"]
    first = figures[0]
    assert [name for name, _ in first.kinds] == ["class", "rollout"]
    assert first.images == (1, 2)
    assert len(first.views) == 2 * MAX_IMAGES
    view = first.views[0]
    assert view.columns == ("base", *map(wording.learning_rate, lrs))
    assert [row.label for row in view.rows] == ["Full FT", "LoRA r=8"]
    assert [[len(cell) for cell in row.cells] for row in view.rows] == [[1, *[2] * len(lrs)]] * 2
    assert all(picture.alt for row in view.rows for cell in row.cells for picture in cell)
    assert len(first.table.rows) == 2 * len(lrs) * 2 * MAX_IMAGES  # methods, learning rates, kinds, images


def test_a_learning_rate_that_a_method_was_not_run_at_has_an_empty_cell(study, builders):
    runs = study.runs.filter((pl.col("method") != "full_ft") | (pl.col("lr") < study.runs["lr"].max()))
    page = replace(study, runs=runs, gallery=builders.gallery(runs))
    (first, *_) = [b for b in gallery(page).blocks if isinstance(b, Gallery)]
    full, lora = first.views[0].rows
    assert full.cells[-1] == ()
    assert len(lora.cells[-1]) == 2


def test_one_view_is_shown_at_a_time_by_two_groups_of_choices(shown):
    html = render_html(shown)
    section = html[html.index('<section id="gallery"') :]
    section = section[: section.index("</section>")]
    assert section.count('name="fig-gallery-1-map"') == 2
    assert section.count('name="fig-gallery-1-image"') == MAX_IMAGES
    assert section.count(" checked") == 2 * 2  # one of each group in each figure
    classes = set(re.findall(r'class="(pick-[\w-]+)"', section))
    for name in classes:  # every choice has a rule of the style sheet that hides the other views
        assert f".gallery-figure:has(.{name}:checked)" in html
    assert len(classes) == 2 + MAX_IMAGES


def test_the_numbers_of_the_table_are_those_of_the_maps(figures, shown):
    (cell_id, *_), *_ = gallery_candidates(shown.runs)
    row = shown.gallery[cell_id]["adapted_class"][0, -1].astype(float)
    row = row / row.sum()
    entropy = -(row * np.log(row)).sum()
    assert figures[0].table.rows[0][5] == f"{entropy:.3g}"
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


def test_photographs_appear_only_where_they_are_handed_over_and_once(shown, figures):
    assert not any(figure.photos for figure in figures)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format="PNG")
    one = replace(shown, pictures={f"{1:064x}": buffer.getvalue()})
    (first, *_) = [b for b in gallery(one).blocks if isinstance(b, Gallery)]
    assert [number for number, _ in first.photos] == [2]
    html = render_html(one)
    assert html.count('class="photo of-image image-2"') == 2  # one in each of the two data sets


def test_a_page_that_is_too_long_keeps_one_image(shown, figures):
    shortened = _shorter(figures[0])
    assert shortened.images == (1,)
    assert len(shortened.kinds) == 2
    assert len(shortened.table.rows) <= SHORT_TABLE


def test_damaged_maps_are_named_and_the_rest_is_shown(shown):
    here = shown.runs.filter(pl.col("dataset") == "shapes")
    (broken, *_), (odd, *_), (short, *_), *rest = gallery_candidates(here)
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
    drawn = [cell for row in first.views[0].rows for cell in row.cells if len(cell) == 2]
    assert len(drawn) == len(rest)  # the runs of this data set that are left


def test_a_run_with_other_probe_images_is_left_out(shown):
    (other, *_) = gallery_candidates(shown.runs)[1]
    maps = {cell: dict(arrays) for cell, arrays in shown.gallery.items()}
    maps[other]["sha256"] = np.array([f"{99 + i:064x}" for i in range(5)])
    section = gallery(replace(shown, gallery=maps))
    assert any("1 run of shapes not shown" in b.text for b in section.blocks if isinstance(b, Note))


def test_without_maps_the_section_says_so(study):
    (note,) = gallery(study).blocks
    assert "No attention maps" in note.text


def test_a_gallery_that_cannot_be_drawn_costs_itself_only(shown, monkeypatch):
    calls = []

    def fails_once(runs, pictures, figure_id):
        calls.append(figure_id)
        if len(calls) == 1:
            raise ValueError("no colour")
        return gallery_figure(runs, pictures, figure_id)

    monkeypatch.setattr("heatdrift.report.sections.gallery.gallery_figure", fails_once)
    note, figure = gallery(shown).blocks
    assert isinstance(note, Note)
    assert "attention gallery of" in note.text
    assert "no colour" in note.text
    assert isinstance(figure, Gallery)
