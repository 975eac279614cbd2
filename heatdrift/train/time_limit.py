"""``--max-time 3h50m``: how long a command may train."""

import re
from typing import Final

from heatdrift.errors import TrainError

_FORM: Final = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_SECONDS: Final = (86_400, 3_600, 60, 1)
ROOM_S: Final = 30.0  # before the limit, for the last step, its checkpoint and bringing records into the database


def seconds_of(text: str) -> int:
    """Return the seconds of whole days, hours, minutes and seconds in this order, each at most once.

    Raises
    ------
    TrainError : anything else, a number without its unit among it, or no time at all.

    Examples
    --------
    >>> seconds_of("3h50m"), seconds_of("90m"), seconds_of("1d12h")
    (13800, 5400, 129600)
    """
    found = _FORM.fullmatch(text.strip())
    hint = "whole numbers with their units, the largest first: 3h50m, 90m, 1d12h, 45s"
    if not text.strip() or found is None:
        raise TrainError(f"--max-time {text!r} is no time", hint=hint)
    total = sum(int(number or 0) * unit for number, unit in zip(found.groups(), _SECONDS, strict=True))
    if total == 0:
        raise TrainError(f"--max-time {text!r} leaves no time to train", hint=hint)
    return total


def begin_to_stop_s(limit_s: float) -> float:
    """Return after how many of `limit_s` seconds a command asks its workers to end: 30 s earlier, at most a tenth."""
    return limit_s - min(ROOM_S, limit_s / 10)
