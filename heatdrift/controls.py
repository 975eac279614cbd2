"""Characters that a name must not have: those that steer a terminal, and those that no XML, UTF-8 or drawing takes."""

import re
from typing import Any, Final

# C0 (line breaks and tabs are none of a name), DEL, C1, lone surrogates, and the two that XML forbids.
CONTROL_PATTERN: Final = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"
# The same for DuckDB's regular expressions, whose text is UTF-8 and therefore has no surrogates.
CONTROL_SQL: Final = r"[\x00-\x1f\x7f-\x{9f}\x{fffe}\x{ffff}]"
_CONTROL: Final = re.compile(CONTROL_PATTERN)
_NOT_DRAWN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # line breaks and tabs are


def has_control(name: str) -> bool:
    r"""Whether a name has a character that no name may have.

    >>> has_control("flowers"), has_control("flow\x1b[31mers")
    (False, True)
    """
    return _CONTROL.search(name) is not None


def drawable(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value whose texts, keys too, have such characters as � and their number in hex.

    A drawing program dies of them; a backslash would be a sign of its own in Vega's names of fields.
    """
    if isinstance(part, str):
        return _NOT_DRAWN.sub(lambda found: f"\ufffd{ord(found[0]):02x}", part)
    if isinstance(part, dict):
        return {drawable(key): drawable(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [drawable(item) for item in part]
    return part
