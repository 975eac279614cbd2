"""A frame from anywhere as polars: what a question is asked of may come from pandas, pyarrow, DuckDB or a mapping.

polars reads Arrow's C stream, which all of them offer, so no adapter library is needed between them.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, cast, overload

import polars as pl

from heatdrift.errors import StatsError
from heatdrift.questions.argument_types import check_arguments
from heatdrift.questions.presented import PresentedResult


class ArrowStream(Protocol):
    """What offers its rows as Arrow: frames of pandas and pyarrow, relations of DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a capsule that holds a stream of record batches."""


Frame = pl.DataFrame | pl.LazyFrame | ArrowStream | Mapping[str, Sequence[object]]
_HINT: Final = "give a frame of polars, pandas or pyarrow, a DuckDB relation, or a mapping of columns"
_VIEW_HINT: Final = (
    "rows of a view have them: heatdrift.read_runs(STUDY), heatdrift.Store().view({view!r}, study=STUDY)"
)
# Columns without which no question can be asked of rows of a view; metrics are named by the question.
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "runs": ("dataset", "method", "lr", "seed", "status"),
    "epochs": ("cell_id", "epoch"),
    "layers": ("cell_id", "epoch", "layer", "metric", "value"),
    "heads": ("cell_id", "epoch", "layer", "head", "metric", "value"),
}
_NUMBERS: Final = ("lr", "seed", "epoch", "layer", "head", "value")

P = ParamSpec("P")
R = TypeVar("R")


def as_polars(frame: Frame) -> pl.DataFrame:
    """Return `frame` as polars; text in categories becomes plain text, and an index of pandas is no column.

    Raises
    ------
    StatsError
        It is no table, or a column holds values of several types.
    """
    if isinstance(frame, pl.DataFrame):
        found = frame
    elif isinstance(frame, pl.LazyFrame):
        found = frame.collect()
    elif isinstance(frame, Mapping) or hasattr(frame, "__arrow_c_stream__"):
        found = _read(frame)
    else:
        raise StatsError(f"{_named(frame)} is no table", hint=_HINT)
    kinds = [name for name, kind in found.schema.items() if isinstance(kind, pl.Categorical | pl.Enum)]
    return found.with_columns(pl.col(kinds).cast(pl.String)) if kinds else found


def _read(frame: ArrowStream | Mapping[str, Sequence[object]]) -> pl.DataFrame:
    import pyarrow as pa

    try:
        return pl.DataFrame(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError, pa.ArrowException) as cause:
        reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
        raise StatsError(f"{_named(frame)} cannot be read as a table: {reason}", hint=_HINT) from None


def _named(frame: object) -> str:
    return f"the {type(frame).__module__.partition('.')[0]} {type(frame).__name__}".replace("the builtins ", "a ")


def as_view(frame: Frame, view: str, needs: Sequence[str] = ()) -> pl.DataFrame:
    """Return `frame` as rows of a view of the store, with the columns that any question needs of it, and `needs`.

    Raises
    ------
    StatsError
        It is no table, lacks columns (all of them are named), or has text where numbers must be.
    """
    found = as_polars(frame)
    missing = [name for name in (*NEEDED[view], *needs) if name not in found.columns]
    if missing:
        has = (
            f"it has {', '.join(found.columns[:8])}{', ...' if found.width > 8 else ''}"
            if found.width
            else "it is empty"
        )
        what = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise StatsError(f"the frame of {view} lacks {what} ({has})", hint=_VIEW_HINT.format(view=view))
    for name in set(_NUMBERS) & set(NEEDED[view]):
        kind = found.schema[name]
        if not kind.is_numeric() and kind != pl.Null:
            raise StatsError(
                f"column {name} of the frame of {view} holds {kind}, not numbers", hint="convert it before you ask"
            )
    return found


class AnyFrames:
    """Decorator of an analysis: its first arguments are rows of views, and may be frames of any library.

    The answer remembers the frames, from which its chart is drawn.

    Parameters
    ----------
    views : the view that each argument holds rows of, in their order.
    needs : columns of ``runs`` that this question needs besides those that every question does.
    """

    def __init__(self, *views: str, needs: Sequence[str] = ()) -> None:
        self._views = views
        self._needs = tuple(needs)

    @overload
    def __call__(
        self, analysis: Callable[Concatenate[pl.DataFrame, pl.DataFrame, P], R]
    ) -> Callable[Concatenate[Frame, Frame, P], R]: ...
    @overload
    def __call__(self, analysis: Callable[Concatenate[pl.DataFrame, P], R]) -> Callable[Concatenate[Frame, P], R]: ...
    def __call__(self, analysis: Callable[..., R]) -> Callable[..., R]:
        """Return the analysis for frames of any library; its signature and documentation stay."""
        signature = inspect.signature(analysis)
        parameters = signature.parameters
        names = list(parameters)

        @functools.wraps(analysis)
        def asked(*given: Any, **options: Any) -> R:  # noqa: ANN401 - the types are those of the analysis
            positional, kept = list(given), {}
            check_arguments(analysis, {name: v for name, v in options.items() if name not in names[: len(self._views)]})
            for i, (name, view) in enumerate(zip(names, self._views, strict=False)):
                frame = positional[i] if i < len(positional) else options.get(name)
                if frame is None and (
                    (name not in options and i >= len(positional)) or parameters[name].default is None
                ):
                    continue  # a frame that may be left out, or one whose absence Python reports
                kept[view] = as_view(cast("Frame", frame), view, self._needs if view == "runs" else ())
                if i < len(positional):
                    positional[i] = kept[view]
                else:
                    options[name] = kept[view]
            answer = analysis(*positional, **options)
            if isinstance(answer, PresentedResult):
                answer.keep_frames(kept)
            return answer

        shown = [
            p.replace(annotation="Frame") if i < len(self._views) else p for i, p in enumerate(parameters.values())
        ]
        asked.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        return asked
