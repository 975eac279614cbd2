"""Named questions: ``queries/<name>.sql``, each with a header that says what it answers.

Header lines, before the statement::

    -- question: which method keeps more?
    -- grain: one row per data set, method and learning rate
    -- units: accuracies and retention in %
    -- param study = null: one study; null = all
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from heatdrift.errors import QueryError, UnknownNameError
from heatdrift.store.sql import Parameter, parse_parameter, run_sql

_PACKAGE: Final = Path(__file__).parents[1]
_FOLDERS: Final = (_PACKAGE / "queries", _PACKAGE.parent / "queries")  # installed wheel; checkout
_FIELD: Final = re.compile(r"--\s*(question|grain|units)\s*:\s*(.+)")
_PARAM: Final = re.compile(r"--\s*param\s+(\w+)\s*=\s*(\S+)\s*:\s*(.+)")
_VIEW: Final = re.compile(r"\bof the view (\w+)")


class QueryParameter(msgspec.Struct, frozen=True, kw_only=True):
    """One ``$name`` of a question, the value it has when none is given, and its meaning."""

    name: str
    default: Parameter
    meaning: str


class NamedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question kept with the project."""

    name: str
    question: str
    grain: str
    units: str
    parameters: tuple[QueryParameter, ...]
    sql: str


def parse_query(name: str, text: str) -> NamedQuery:
    """Read one ``.sql`` file; QueryError when the header lacks a field."""
    fields = {m[1]: m[2].strip() for m in map(_FIELD.fullmatch, text.splitlines()) if m}
    missing = [field for field in ("question", "grain", "units") if field not in fields]
    if missing:
        raise QueryError(
            f"queries/{name}.sql has no '-- {missing[0]}: ...' line", hint="see the header of another query"
        )
    parameters = tuple(
        QueryParameter(name=m[1], default=parse_parameter(m[2]), meaning=m[3].strip())
        for m in map(_PARAM.fullmatch, text.splitlines())
        if m
    )
    return NamedQuery(name=name, parameters=parameters, sql=text, **fields)


def list_queries() -> tuple[NamedQuery, ...]:
    """Return all named questions in order of name."""
    folder = next((f for f in _FOLDERS if f.is_dir()), None)
    if folder is None:
        raise QueryError(f"the named questions are missing from {_FOLDERS[0]}", hint="install heatdrift again")
    return tuple(parse_query(p.stem, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.sql")))


def questions_frame(queries: Sequence[NamedQuery]) -> pl.DataFrame:
    """Return one row per question: name, question, grain, units, parameters with their defaults."""
    return pl.DataFrame(
        {
            "name": [q.name for q in queries],
            "question": [q.question for q in queries],
            "grain": [q.grain for q in queries],
            "units": [q.units for q in queries],
            "parameters": [" ".join(f"{p.name}={_shown(p.default)}" for p in q.parameters) for q in queries],
        }
    )


def _shown(value: Parameter) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def named_query(name: str) -> NamedQuery:
    """Return the question `name`; UnknownNameError (naming the nearest) when there is none."""
    known = {query.name: query for query in list_queries()}
    if name not in known:
        raise UnknownNameError("query", name, known)
    return known[name]


def run_query(
    store: Path, name: str, parameters: Mapping[str, Parameter] | None = None, *, timeout_s: float | None = None
) -> pl.DataFrame:
    """Run a named question for at most `timeout_s` seconds; parameters that are not given take their default.

    Raises
    ------
    UnknownNameError
        There is no such question, or `metric` is none that the view it selects from has rows of.
    QueryError
        A parameter that the question does not have, or of another type.
    """
    query = named_query(name)
    for parameter in query.parameters:
        view = _VIEW.search(parameter.meaning)
        given = (parameters or {}).get(parameter.name)
        if parameter.name == "metric" and view and given is not None:
            known = run_sql(store, f"SELECT DISTINCT metric FROM {view[1]}")["metric"].to_list()
            if known and given not in known:
                raise UnknownNameError("metric", str(given), known, where=f"the view {view[1]} of the store")
    defaults: dict[str, Parameter] = {p.name: p.default for p in query.parameters}
    return run_sql(store, query.sql, defaults | dict(parameters or {}), timeout_s=timeout_s)
