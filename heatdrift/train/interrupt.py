"""Signals with which a scheduler takes a machine back, as one exception in the process that leads the training."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final

INTERRUPTED: Final = 75  # exit code: try the same command again (EX_TEMPFAIL of sysexits.h)
_NAMES: Final = ("SIGTERM", "SIGUSR1", "SIGUSR2")
SIGNALS: Final = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class Interrupted(BaseException):
    """A signal asked for the end; `name` is the signal's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`Interrupted` at the first signal inside the block; later ones are ignored, so that it can end.

    Handlers of before come back at the end of the block. Only in the main thread, as Python demands of handlers.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted(signal.Signals(number).name)

    earlier = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Leave these signals to the leading process: a scheduler often sends them to every process of a job."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
