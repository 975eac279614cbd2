"""Watching: do something, wait, do it again, until it is finished or Ctrl-C ends it, which is no failure."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

EveryOption = Annotated[
    float, typer.Option("--every", metavar="SECONDS", help="How often --watch looks.", min=0.2, max=86_400)
]


def repeat(once: Callable[[], bool], *, every_s: float) -> None:
    """Call `once` until it returns True, or Ctrl-C is pressed, waiting `every_s` seconds in between.

    The wait begins when a call has ended: a call that takes long is not followed by another at once.
    """
    try:
        while not once():
            time.sleep(every_s)
    except KeyboardInterrupt:
        return


def now() -> str:
    """Return the local time of day, for people."""
    return datetime.now().astimezone().strftime("%H:%M:%S")
