"""The polite end: a scheduler's signal or a time limit, asked for in one process and heard by all that train.

A handler only notes the request; whoever trains looks at it between steps and between batches. The leading process
passes it on to its workers, which finish their step and write a checkpoint. A child that was forked later inherits a
handler without having anything to keep, so there the signal does what it does without one.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Final

from heatdrift.errors import UnknownNameError

INTERRUPTED: Final = 75  # exit code: try the same command again (EX_TEMPFAIL of sysexits.h)
DEFAULT_SIGNALS: Final = ("TERM", "USR1", "USR2")
KNOWN_SIGNALS: Final = ("HUP", "INT", *DEFAULT_SIGNALS, "XCPU")
SAME_S: Final = 1.0  # schedulers and shells often send one request twice: to a group and to its members


class Interrupted(BaseException):
    """Work was left because its end was asked for; `reason` is a signal's name or a time limit, `where` the place."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(f"{reason} {where}".strip())
        self.reason = reason
        self.where = where


class Interruption:
    """Whether the end was asked for, and by what; looked at by whoever can leave its work in between."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self.reason is not None

    def request(self, reason: str) -> None:
        """Ask for the end; the first reason stays."""
        self.reason = self.reason or reason

    def check(self) -> None:
        """Raise :class:`Interrupted` if the end was asked for."""
        if self.reason is not None:
            raise Interrupted(self.reason)

    def hear(self, name: str) -> None:
        """Take the signal `name`."""
        self.request(name)


class LeadingInterruption(Interruption):
    """The interruption of the process that leads a training: it wakes a wait, has a time limit, and can insist.

    Before :meth:`lead` the first signal raises :class:`Interrupted` where the process is: there is nothing to keep yet.
    After it the first one is only noted, for workers to end politely, and a second one raises.

    Parameters
    ----------
    limit_s, limit_words : seconds from now after which the end is asked for, and how the user wrote them.
    """

    def __init__(self, *, limit_s: float | None = None, limit_words: str = "") -> None:
        super().__init__()
        import multiprocessing  # takes 20 ms, which every command would pay

        self.bell, self._rope = multiprocessing.Pipe(duplex=False)
        self._until = None if limit_s is None else time.monotonic() + limit_s
        self._limit_words = limit_words
        self._leading = False
        self._heard_at: float | None = None
        self._raised = False

    def lead(self) -> None:
        """From now on workers are at work, and a first signal leaves the end to them."""
        self._leading = True

    def request(self, reason: str) -> None:
        """Ask for the end, and make ``bell`` readable."""
        if self.reason is None:
            super().request(reason)
            self._rope.send_bytes(b".")

    def hear(self, name: str) -> None:
        """Take a signal: note the first one; a later one, or a first one before :meth:`lead`, raises once."""
        now = time.monotonic()
        self._heard_at = self._heard_at or now
        self.request(name)
        insists = now - self._heard_at > SAME_S
        if not self._raised and (insists or not self._leading):
            self._raised = True
            raise Interrupted(name)

    def left_s(self) -> float | None:
        """Seconds until the time limit asks for the end, at least 0; None without a limit."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def requested(self) -> bool:
        """Whether the end was asked for, or the time limit asks for it now."""
        if self.left_s() == 0.0:
            self.request(self._limit_words)
        return super().requested()

    def check(self) -> None:
        """Raise :class:`Interrupted` if the end was asked for, or the time limit asks for it now."""
        self.requested()
        super().check()


def signal_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return names of signals as TERM, USR1, ..., each once; `given` may say SIGTERM or term.

    Raises
    ------
    UnknownNameError : a name of no signal that a scheduler sends.
    """
    names = []
    for text in given:
        name = text.strip().upper().removeprefix("SIG")
        if name not in KNOWN_SIGNALS:
            raise UnknownNameError("signal", text, KNOWN_SIGNALS, where="--stop-on")
        names.append(name)
    return tuple(dict.fromkeys(names))


_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


def _numbers(names: Sequence[str]) -> list[signal.Signals]:
    return [signal.Signals[f"SIG{name}"] for name in names]


def listen(names: Sequence[str], interruption: Interruption) -> dict[signal.Signals, "_Handler"]:
    """Let `interruption` hear the signals `names` in this process; return the handlers of before.

    Only in the main thread, as Python demands of handlers.
    """
    owner = os.getpid()

    def handle(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked child: it ends as if nobody had listened, and keeps nothing
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        interruption.hear(signal.Signals(number).name)

    return {number: signal.signal(number, handle) for number in _numbers(names)}


@contextlib.contextmanager
def listening(names: Sequence[str], interruption: LeadingInterruption) -> Iterator[LeadingInterruption]:
    """Let `interruption` hear signals inside the block; handlers of before come back at its end."""
    earlier = listen(names, interruption)
    try:
        yield interruption
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held_back(names: Sequence[str]) -> Iterator[None]:
    """Keep signals from this thread inside the block: a process that it starts there begins with them waiting."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers(names))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def let_in(names: Sequence[str]) -> None:
    """Let in the signals that :func:`held_back` kept waiting when this process was started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _numbers(names))
