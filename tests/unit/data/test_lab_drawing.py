import numpy as np
import pytest

from heatdrift.data.lab.scene import COLOURS, SIZE, draw_objects, pixel_grid, turned
from heatdrift.data.lab.shapes import SHAPES
from heatdrift.data.lab.surfaces import SURFACES

GRID = np.linspace(-1.5, 1.5, 301)
X, Y = np.meshgrid(GRID, GRID)
CELL = (GRID[1] - GRID[0]) ** 2


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("name", SHAPES)
def test_outline_is_closed_and_about_as_large_as_the_unit_disc(name):
    distance = SHAPES[name](X, Y)
    inside = distance < 0
    assert not inside[np.hypot(X, Y) > 1.2].any()
    assert 0.6 < inside.sum() * CELL < np.pi


@pytest.mark.parametrize("name", SHAPES)
def test_distance_changes_no_faster_than_space(name):
    # A slope above 1 would make an edge harder than one pixel.
    rise, run = np.gradient(SHAPES[name](X, Y), GRID, GRID)
    assert np.quantile(np.hypot(rise, run), 0.98) < 1.05  # creases apart


def test_areas_agree_with_closed_forms():
    def area(name: str) -> float:
        return (SHAPES[name](X, Y) < 0).sum() * CELL

    assert area("circle") == pytest.approx(np.pi * 0.9**2, rel=0.02)
    assert area("square") == pytest.approx(1.5**2, rel=0.02)
    assert area("ring") == pytest.approx(np.pi * (0.92**2 - 0.44**2), rel=0.02)
    assert area("diamond") == pytest.approx(2 * 0.55, rel=0.02)


def test_shapes_differ_pairwise():
    masks = {name: outline(X, Y) < 0 for name, outline in SHAPES.items()}
    for a, first in masks.items():
        for b, second in masks.items():
            if a < b:
                assert (first & second).sum() / (first | second).sum() < 0.85, (a, b)


@pytest.mark.parametrize("name", SURFACES)
def test_surface_share_is_a_fraction(name):
    share = SURFACES[name](X, Y)
    assert share.min() >= 0
    assert share.max() <= 1
    assert share.mean() == pytest.approx(
        {"plain": 0.0, "dotted": 0.25, "striped": 0.5, "checkered": 0.5}[name], abs=0.06
    )


def test_turning_by_a_quarter_swaps_the_axes():
    x, y = pixel_grid()
    u, v = turned(x, y, np.array(np.pi / 2))
    assert np.allclose(u, y)
    assert np.allclose(v, -x)


def test_drawn_objects_show_their_colour():
    circle, plain = list(SHAPES).index("circle"), list(SURFACES).index("plain")
    for index, (name, colour) in enumerate(COLOURS.items()):
        n = 32
        pixels = draw_objects(_rng(index), np.tile([plain, index, circle], (n, 1)), np.zeros(n, dtype=np.int64))
        distance = np.abs(pixels.reshape(n, -1, 3).astype(float) - colour).sum(axis=-1)
        assert (distance.min(axis=1) < 90).all(), name


def test_pixels_of_a_batch_do_not_depend_on_the_content_of_other_rows():
    rows = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    changed = np.array([[0, 0, 0], [3, 5, 7], [2, 2, 2]])
    ground = np.zeros(3, dtype=np.int64)
    first, second = draw_objects(_rng(), rows, ground), draw_objects(_rng(), changed, ground)
    assert first.shape == (3, SIZE, SIZE, 3)
    assert np.array_equal(first[[0, 2]], second[[0, 2]])
    assert not np.array_equal(first[1], second[1])
