"""A table of results as LaTeX with booktabs rules, for a paper; pandas escapes what LaTeX would read as a command."""

from collections.abc import Mapping, Sequence

from heatdrift.wording import six_digits


def latex_table(rows: Sequence[Mapping[str, object]]) -> str:
    r"""Return rows with equal keys as a ``tabular``: numbers to six digits at most, nothing for NaN and None.

    It needs ``\\usepackage{booktabs}``.
    """
    import pandas as pd  # only this format pays for its import

    texts = pd.DataFrame([{name: _text(value) for name, value in row.items()} for row in rows])
    styled = texts.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    numeric = [bool(rows) and all(_is_number(row[name]) for row in rows) for name in texts.columns]
    written: str = styled.to_latex(hrules=True, column_format="".join("r" if n else "l" for n in numeric))
    return written


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: object) -> str:
    if value is None:
        return ""
    return six_digits(value) if isinstance(value, float) else str(value)
