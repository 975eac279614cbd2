import re

import pytest

from heatdrift import methods
from heatdrift.methods import BUILT_IN, METHODS
from heatdrift.methods.base import BuiltIn
from heatdrift.report.theme import COLOUR, DIVERGING, PALETTE, SHAPE_PATHS, method_styles, palette_css, themed


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    """Contrast ratio of WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "paper"),
    [
        ("ink", "paper"),
        ("muted", "paper"),
        ("muted", "panel"),
        ("accent", "paper"),
        ("ink", "warn-paper"),
        ("warn", "warn-paper"),
    ],
)
def test_text_has_aa_contrast(mode, text, paper):
    assert contrast(PALETTE[text][mode], PALETTE[paper][mode]) >= 4.5


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", [name for name in PALETTE if name.startswith("series")] + ["base"])
def test_marks_have_3_to_1_contrast(mode, name):
    assert contrast(PALETTE[name][mode], PALETTE["paper"][mode]) >= 3


def test_every_method_has_its_own_colour_and_its_own_shape():
    styles = method_styles(METHODS)
    assert [s.name for s in styles] == list(METHODS)
    first = styles[:8]  # as many as there are colours; later ones share a colour or a shape, never both
    assert len({s.colour for s in first}) == len({s.shape for s in first}) == 8
    assert len({(s.colour, s.shape) for s in styles}) == len(METHODS)
    assert {s.shape for s in styles} <= set(SHAPE_PATHS)


def test_a_method_looks_the_same_whatever_stands_beside_it():
    alone = method_styles(["lora_r8"])[0]
    assert alone in method_styles(["zz_unknown", "full_ft", "lora_r8"])


def test_the_first_five_keep_the_looks_that_they_always_had():
    looks = {s.name: (s.variable, s.shape) for s in method_styles(METHODS)}
    assert looks["full_ft"] == ("var(--series-1)", "circle")
    assert looks["lora_r8"] == ("var(--series-2)", "diamond")
    assert looks["lora_r8_frozen_proj"] == ("var(--series-3)", "triangle-up")
    assert looks["last_block"] == ("var(--series-4)", "square")
    assert looks["linear_probe"] == ("var(--series-5)", "cross")


def test_an_unknown_method_never_looks_like_a_known_one():
    for unknown in (["adalora"], [f"my_{i}" for i in range(20)]):
        styles = method_styles([*unknown, *METHODS])
        assert len({(s.colour, s.shape) for s in styles}) == len(styles)


def test_an_own_method_shares_neither_colour_nor_shape_with_the_few_beside_it():
    styles = method_styles(["full_ft", "lora_r8", "bitfit", "my_lora", "my_other"])
    assert len({s.colour for s in styles}) == len({s.shape for s in styles}) == len(styles)


def test_a_method_with_a_new_place_has_a_look_without_a_line_here(monkeypatch):
    places = range(len(METHODS) + 1, 40)
    more = {f"new_{place}": BuiltIn(f"new_{place}", place, BUILT_IN["bitfit"].family) for place in places}
    before = method_styles(METHODS)
    monkeypatch.setattr(methods, "BUILT_IN", BUILT_IN | more)
    styles = method_styles([*METHODS, *more])
    assert styles[: len(before)] == before
    assert len({(s.colour, s.shape) for s in styles}) == len(styles) == len(METHODS) + len(more)


def test_themed_replaces_palette_colours_only():
    spec = {"color": COLOUR["ink"], "range": [COLOUR["series-1"], "#abcdef"], "text": f"not {COLOUR['ink']}", "n": 3}
    expected = {"color": "var(--ink)", "range": ["var(--series-1)", "#abcdef"], "text": f"not {COLOUR['ink']}", "n": 3}
    assert themed(spec) == expected


def test_light_colours_are_unique_so_that_each_becomes_its_own_variable():
    assert len(set(COLOUR.values())) == len(COLOUR)


def test_the_diverging_scale_is_odd_so_that_no_change_has_a_colour():
    assert len(DIVERGING) % 2 == 1


def test_every_variable_of_the_stylesheet_is_defined():
    defined = set(re.findall(r"--([\w-]+):", palette_css()))
    assert defined == set(PALETTE)
