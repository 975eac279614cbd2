"""Vega's drawings, made by vl-convert without network access; the one place that calls it with texts of users.

A control character in a text ends the whole process there (a panic that nothing can catch), so texts are cleaned first.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import vl_convert

from heatdrift.controls import drawable
from heatdrift.errors import ReportError

T = TypeVar("T", str, bytes)
_LONGEST_REASON = 200


def draw_svg(spec: Mapping[str, Any]) -> str:
    """Return the SVG of a Vega-Lite spec with its data; ReportError with the reason where it cannot be drawn."""
    return _drawn(lambda: vl_convert.vegalite_to_svg(drawable(dict(spec)), allowed_base_urls=[]))


def draw_png(spec: Mapping[str, Any], scale: float) -> bytes:
    """Return the PNG of a Vega-Lite spec with its data; ReportError with the reason where it cannot be drawn."""
    return _drawn(lambda: vl_convert.vegalite_to_png(drawable(dict(spec)), scale=scale, allowed_base_urls=[]))


def _drawn(draw: Callable[[], T]) -> T:
    try:
        return draw()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as cause:  # a panic of Rust code is no Exception
        lines = [line.strip() for line in str(cause).splitlines()]
        reason = (
            " ".join(line for line in lines if line and not line.startswith("at "))[:_LONGEST_REASON]
            or type(cause).__name__
        )
        raise ReportError(f"a chart cannot be drawn: {reason}", hint="the numbers are in the figure's table") from cause
