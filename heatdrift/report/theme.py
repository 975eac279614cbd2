"""Colours, shapes and order of methods, the palette in light and dark, and the look that all charts share.

A chart is drawn in the light palette, so that its spec is complete; in the page every palette colour of a spec or SVG
becomes a CSS variable (`themed`), so one drawing serves light, dark and print. Colours were chosen for 3:1 contrast of
marks and 4.5:1 of text on both papers (tests/unit/report/test_theme.py measures them).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from heatdrift import methods
from heatdrift.wording import method_title

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PALETTE: Final[dict[str, tuple[str, str]]] = {  # CSS variable -> (light, dark)
    "paper": ("#fdfdfc", "#13161a"),
    "panel": ("#f4f5f3", "#1b1f24"),
    "ink": ("#1b2026", "#e7e9ec"),
    "muted": ("#555d66", "#a5adb7"),
    "line": ("#d9dcd8", "#323840"),
    "grid": ("#e8eae7", "#272c33"),
    "base": ("#6d757e", "#8f98a3"),
    "accent": ("#0f5a8c", "#7cbcf0"),
    "warn": ("#8a4b00", "#f0b35e"),
    "warn-paper": ("#fdf4e3", "#2b2315"),
    "ghost": ("#bcc1c6", "#474e57"),
    "series-1": ("#1d62a8", "#6db0f2"),
    "series-2": ("#c4500c", "#ff9d5c"),
    "series-3": ("#82389b", "#d79bea"),
    "series-4": ("#23784a", "#66cc95"),
    "series-5": ("#6a6a10", "#cfcf62"),
    "series-6": ("#a82a5c", "#f58bb0"),
    "series-7": ("#0d7377", "#5fcfd3"),
    "series-8": ("#4a4f57", "#c3c9d1"),
    "div-1": ("#0b4f52", "#7fe0dd"),
    "div-2": ("#2f8583", "#4bb3b0"),
    "div-3": ("#79b9b3", "#2f7f7e"),
    "div-4": ("#c3e0dc", "#204a4c"),
    "div-5": ("#f1f1ef", "#23282e"),
    "div-6": ("#ecd9b4", "#4d3b1c"),
    "div-7": ("#d3a95f", "#86632a"),
    "div-8": ("#a56f1f", "#c09243"),
    "div-9": ("#6b410a", "#f2cd8d"),
}
COLOUR: Final[dict[str, str]] = {name: light for name, (light, _) in PALETTE.items()}
DIVERGING: Final[tuple[str, ...]] = tuple(COLOUR[f"div-{i}"] for i in range(1, 10))
_VARIABLE: Final[dict[str, str]] = {light: f"var(--{name})" for name, (light, _) in PALETTE.items()}

_COLOURS: Final = tuple(f"series-{i}" for i in range(1, 9))
_SHAPES: Final = (
    "circle", "diamond", "triangle-up", "square", "cross", "triangle-down", "triangle-right", "triangle-left",
)  # fmt: skip
# All pairs of colour and shape: the first eight share neither, the next eight have the shapes shifted by one ...
_LOOKS: Final = tuple(
    (colour, _SHAPES[(i + shift) % len(_SHAPES)]) for shift in range(len(_SHAPES)) for i, colour in enumerate(_COLOURS)
)
SHAPE_PATHS: Final[dict[str, str]] = {  # for legends in HTML; drawn in a box from -5 to 5
    "circle": "M4,0A4,4,0,1,1,-4,0A4,4,0,1,1,4,0Z",
    "diamond": "M0,-5L4.2,0L0,5L-4.2,0Z",
    "triangle-up": "M0,-4.4L4.6,3.8H-4.6Z",
    "triangle-down": "M0,4.4L4.6,-3.8H-4.6Z",
    "triangle-right": "M4.4,0L-3.8,4.6V-4.6Z",
    "triangle-left": "M-4.4,0L3.8,4.6V-4.6Z",
    "square": "M-3.8,-3.8H3.8V3.8H-3.8Z",
    "cross": "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
}


class MethodStyle(NamedTuple):
    """How one method looks everywhere: `colour` is the light palette's, `variable` its CSS name, `shape` Vega's."""

    name: str
    title: str
    colour: str
    variable: str
    shape: str


def method_styles(names: Iterable[str]) -> tuple[MethodStyle, ...]:
    """Return the styles of the methods `names` in the product's order, others after, by name.

    A built-in method has the look of its place for ever. Others (a study's own, imported ones) take in turn what looks
    least like the methods next to them: neither colour nor shape shared, from series-6 on, then another pair.
    """
    present = set(names)
    chosen = {name: _LOOKS[b.place - 1] for name, b in methods.BUILT_IN.items() if name in present}
    for name in sorted(present - set(chosen)):
        chosen[name] = _free_look(list(chosen.values()))
    return tuple(
        MethodStyle(name, method_title(name), COLOUR[slot], f"var(--{slot})", shape)
        for name, (slot, shape) in chosen.items()
    )


def _free_look(taken: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the look of which least is seen in `taken`; of several the first from series-6 on: there the rarer are."""
    colours, shapes = ([look[i] for look in taken] for i in (0, 1))
    first = 5  # the looks of the methods that most studies have come last
    order = (*_LOOKS[first : len(_COLOURS)], *_LOOKS[:first], *_LOOKS[len(_COLOURS) :])
    return min(order, key=lambda look: (taken.count(look), colours.count(look[0]) + shapes.count(look[1])))


def chart_config() -> dict[str, Any]:
    """Return the Vega-Lite config of every chart: sizes of one scale, hairlines, no frame."""
    text = {"labelColor": COLOUR["muted"], "titleColor": COLOUR["ink"], "labelFontSize": 11, "titleFontSize": 12}
    return {
        "aria": False,  # each figure carries one text alternative and a table instead of a label per mark
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **text,
            "domainColor": COLOUR["line"],
            "tickColor": COLOUR["line"],
            "gridColor": COLOUR["grid"],
            "titleFontWeight": 600,
            "titlePadding": 8,
            "tickCount": 5,
        },
        "text": {"color": COLOUR["muted"], "fontSize": 11},
        "point": {"filled": True},
    }


def themed(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value with each palette colour replaced by its CSS variable."""
    if isinstance(value, str):
        return _VARIABLE.get(value, value)
    if isinstance(value, Mapping):
        return {key: themed(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [themed(item) for item in value]
    return value


def palette_css() -> str:
    """Return the CSS that defines the palette: light, dark by preference, and light again on paper."""

    def block(index: int) -> str:
        return "".join(f"--{name}:{pair[index]};" for name, pair in PALETTE.items())

    return (
        f":root{{color-scheme:light dark;{block(0)}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{block(1)}}}}}\n"
    )
