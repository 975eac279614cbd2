"""How a command that trains is ended: by which signals, after how long, and with which words and exit code."""

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Concatenate, ParamSpec

import typer

from heatdrift.cli.advice import same_command
from heatdrift.cli.output import note
from heatdrift.train.interrupt import (
    DEFAULT_SIGNALS,
    INTERRUPTED,
    KNOWN_SIGNALS,
    Interrupted,
    LeadingInterruption,
    listening,
    signal_names,
)
from heatdrift.train.time_limit import begin_to_stop_s, seconds_of

P = ParamSpec("P")

MaxTimeOption = Annotated[
    str | None,
    typer.Option(
        "--max-time",
        metavar="TIME",
        help="End politely in this time, such as 3h50m, 90m or 1d12h, as by a signal: a step, its checkpoint, exit 75. "
        "Begins 30 s before.",
    ),
]
StopOnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stop-on",
        metavar="SIGNAL",
        help=f"A signal that ends it politely; repeatable. Known: {', '.join(KNOWN_SIGNALS)}. "
        f"Default: {', '.join(DEFAULT_SIGNALS)}. A second one, more than a second later, ends it at once.",
    ),
]


def signals_of(stop_on: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the signals that end the command."""
    return signal_names(stop_on) if stop_on else DEFAULT_SIGNALS


def heard(context: typer.Context, stop_on: Sequence[str] | None, max_time: str | None) -> LeadingInterruption:
    """Hear signals and the time limit from now to the end of the command."""
    limit_s = None if max_time is None else begin_to_stop_s(seconds_of(max_time))
    interruption = LeadingInterruption(limit_s=limit_s, limit_words=f"--max-time {max_time}")
    return context.with_resource(listening(signals_of(stop_on), interruption))


def ending_politely(command: Callable[Concatenate[typer.Context, P], None]) -> Callable[..., None]:
    """Let a command that raises Interrupted say how to go on, and exit with 75."""

    @functools.wraps(command)
    def wrapped(context: typer.Context, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(context, *args, **kwargs)
        except Interrupted as interrupted:
            again = same_command(context, without=("force", "dry_run"))
            note(f"{interrupted.reason}: stopped; what is finished is kept. To go on from the last step:\n  {again}")
            raise typer.Exit(INTERRUPTED) from None

    return wrapped
