"""A formula as lme4 writes it, `y ~ a*b + (1|g)` -> response, fixed part and random intercepts.

The fixed part is patsy's, the formula language of statsmodels; random intercepts are taken out before it reads it.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heatdrift.errors import StatsError, UnknownNameError

EXAMPLE: Final = 'heatdrift stats model --formula "y ~ a * b + (1 | g)" --table FILE'
FUNCTIONS: Final = ("log", "log10", "log1p", "exp", "sqrt")  # of NumPy, by their own names
_BUILT_IN: Final = ("C", "Q", "I", "Treatment", "Sum", "bs", "cr", "center", "scale", "standardize", "np", *FUNCTIONS)
_RANDOM: Final = re.compile(r"\(([^()|]*)\|([^()|]*)\)")


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says.

    Attributes
    ----------
    response, fixed : in patsy's language. random : columns whose combinations are the groups, one tuple per intercept.
    """

    response: str
    fixed: str
    random: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"{self.response} ~ {self.fixed} + " + " + ".join(f"(1 | {':'.join(names)})" for names in self.random)


def read_formula(text: str) -> Formula:
    """Take a formula apart; `(1 | a/b)` is `(1 | a) + (1 | a:b)`.

    Raises
    ------
    StatsError
        No response, no random intercept, or a random slope.

    Examples
    --------
    >>> read_formula("y ~ a * x + (1 | g/h)").random
    (('g',), ('g', 'h'))
    """
    if not isinstance(text, str):
        raise StatsError(f"a formula is text, not a {type(text).__name__}", hint=EXAMPLE)
    response, tilde, right = text.partition("~")
    if not tilde or not response.strip() or not right.strip():
        raise StatsError(f"{text!r} is no formula: a response, ~, and what it depends on", hint=EXAMPLE)
    random: list[tuple[str, ...]] = []
    for slopes, groups in _RANDOM.findall(right):
        if slopes.strip() != "1":
            raise StatsError(
                f"({slopes.strip()} | {groups.strip()}) is a random slope, and this model has random intercepts only",
                hint=f"(1 | {groups.strip()}), and (1 | {groups.strip()}:FACTOR) for an effect that differs by group",
            )
        for names in _groups(groups):
            if names not in random:
                random.append(names)
    left = _RANDOM.sub("", right)
    if "|" in left:
        raise StatsError(f"{text!r} has a | outside of (1 | group)", hint=EXAMPLE)
    if not random:
        raise StatsError(f"{text!r} has no random intercept, so every row would count as independent", hint=EXAMPLE)
    fixed = re.sub(r"\s*\+\s*(?=\+|$)", "", re.sub(r"^\s*(\+\s*)+", "", left.strip())).strip()
    return Formula(response=response.strip(), fixed=re.sub(r"\s+", " ", fixed) or "1", random=tuple(random))


def _groups(text: str) -> list[tuple[str, ...]]:
    """Columns of each intercept of `a/b` or `a:b`."""
    levels = [[_bare(name) for name in part.split(":")] for part in text.split("/")]
    if not all(name for level in levels for name in level):
        raise StatsError(f"(1 | {text.strip()}) names no group", hint=EXAMPLE)
    return [tuple(name for level in levels[: i + 1] for name in level) for i in range(len(levels))]


def _bare(name: str) -> str:
    found = re.fullmatch(r"""\s*Q\(\s*["'](.*)["']\s*\)\s*""", name)
    return found.group(1) if found else name.strip()


def columns_in(code: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that an expression uses, `log(x)` -> x, in their order.

    Raises
    ------
    UnknownNameError
        A name that is no column. StatsError: no expression.
    """
    try:
        tree = ast.parse(code.strip(), mode="eval")
    except SyntaxError as error:
        raise StatsError(
            f"{code!r} in the formula cannot be read", hint='a column of another name: Q("its name")'
        ) from (error)
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise StatsError(f"{code!r} is no expression of columns", hint=EXAMPLE)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Q":
            found += [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
        elif isinstance(node, ast.Name) and (node.id in columns or node.id not in _BUILT_IN):
            found.append(node.id)
    for name in found:
        if name not in columns:
            raise UnknownNameError("column", name, columns, where="this table")
    return tuple(dict.fromkeys(found))
