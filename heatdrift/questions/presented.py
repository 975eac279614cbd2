"""What an answer offers in Python: its text where it is printed, its tables as frames and LaTeX, its charts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from heatdrift.errors import UnknownNameError
from heatdrift.questions.answer import Result
from heatdrift.questions.tables import Grid, first_read

if TYPE_CHECKING:
    import altair as alt
    import polars as pl


class PresentedResult(Result, frozen=True, kw_only=True, dict=True):
    """An answer that can be printed, drawn and written; its fields are its JSON keys, and stay what they are.

    Printed, and in a notebook, it is what its command prints: n, what was left out, caveats and findings. The frames
    it was computed from are no field of it: they are kept for its charts, and neither compared nor encoded.
    """

    def shown(self) -> "Iterator[str | Grid]":
        """Yield lines and tables for a terminal."""
        raise NotImplementedError

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the rows of the main table."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [type(self).__name__, *(part for part in first_read(self.shown()) if isinstance(part, str))]
        if names := self.tables():
            lines.append(f"to_frame(NAME): {', '.join(names)}; whole caveats: .caveats")
        return "\n".join(lines)

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that ``to_frame`` and ``to_latex`` give: fields that hold rows."""
        return tuple(
            field.name
            for field in msgspec.structs.fields(type(self))
            if (rows := getattr(self, field.name)) and isinstance(rows, tuple) and isinstance(rows[0], Result)
        )

    def to_frame(self, table: str | None = None) -> "pl.DataFrame":
        """Return a table as a polars frame, at full precision, null for NaN; ``.to_pandas()`` of it is one of pandas.

        Parameters
        ----------
        table : one of `tables`; None = the main table, the rows that the command's CSV has.

        Raises
        ------
        UnknownNameError
            The answer has no such table, or no row in it.
        """
        import polars as pl

        return pl.DataFrame(self._table_rows(table), infer_schema_length=None).fill_nan(None)

    def to_latex(self, table: str | None = None, *, columns: Sequence[str] | None = None) -> str:
        r"""Return a table as a LaTeX ``tabular`` with the rules of booktabs, numbers to six digits at most.

        It needs ``\\usepackage{booktabs}``; `table` as in `to_frame`, `columns` those of it that are written.
        """
        from heatdrift.questions.latex import latex_table

        rows = self._table_rows(table)
        chosen = list(rows[0] if rows else []) if columns is None else list(columns)
        for name in chosen:
            if rows and name not in rows[0]:
                raise UnknownNameError("column", name, rows[0], where=f"this table of {type(self).__name__}")
        return latex_table([{name: _flat(row[name]) for name in chosen} for row in rows])

    def charts(self) -> "Mapping[str, alt.TopLevelMixin]":
        """Return the figures of a page that show this answer, as Altair charts by their names.

        Empty where the answer has no natural picture.
        """
        from heatdrift.questions.drawn import answer_charts

        return answer_charts(self, self.__dict__.get("_frames", {}))

    def chart(self, name: str | None = None) -> "alt.TopLevelMixin":
        """Return one figure as an Altair chart: the first, or the one of that name (`charts`).

        Raises
        ------
        ReportError
            There is no picture of this answer. UnknownNameError: none of that name.
        """
        from heatdrift.questions.drawn import one_chart

        return one_chart(self, self.charts(), name)

    def write_chart(self, path: str | Path, name: str | None = None, *, width: str | float = "single") -> Path:
        """Write one figure for print, without a title and with text kept as text, and return its path.

        Parameters
        ----------
        path : ends in .svg or .pdf.
        name : which figure (`charts`); None = the first.
        width : ``single`` (85 mm), ``double`` (174 mm), or 30 to 400 mm; panels are composed for it.

        Raises
        ------
        ReportError
            There is no picture of this answer, or no such width. UnknownNameError: no such figure or kind of file.
        """
        from heatdrift.questions.drawn import write_chart

        return write_chart(self, self.__dict__.get("_frames", {}), Path(path), name, width)

    def keep_frames(self, frames: "Mapping[str, pl.DataFrame]") -> None:
        """Keep the rows of views that the answer was computed from; charts draw them."""
        self.__dict__["_frames"] = dict(frames)

    def _table_rows(self, table: str | None) -> list[dict[str, object]]:
        if table is None:
            return self.csv_rows()
        if table not in self.tables():
            raise UnknownNameError("table", table, self.tables(), where=f"this {type(self).__name__}")
        return [msgspec.structs.asdict(row) for row in cast("tuple[Result, ...]", getattr(self, table))]

    def _repr_html_(self) -> str:
        from heatdrift.questions.notebook import answer_html

        return answer_html(self)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, values, *_ = cast("tuple[Any, ...]", super().__reduce__())
        return rebuild, values, dict(self.__dict__)


def _flat(value: object) -> object:
    """Return lists and mappings as text: a table for print has no cell for them."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
