"""The app: registration of commands, and the one catch of HeatdriftError."""

import sys
from typing import Annotated

import typer

from heatdrift.cli import (
    compare,
    data,
    doctor,
    evaluate,
    exchange,
    fetch,
    init,
    inspect_weights,
    interpolate,
    maps,
    measure,
    plan,
    report,
    scale,
    sql,
    stats,
    status,
    store,
    sync,
    train,
    ui,
    verify_protocol,
)
from heatdrift.cli.output import say, show_error
from heatdrift.errors import HeatdriftError

app = typer.Typer(
    name="heatdrift",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What fine-tuning CLIP does to its attention and its zero-shot accuracy: train, measure, query, test, report.",
    epilog="First run, no download: `heatdrift train --all --study demo`, then `heatdrift report --html`.",
)


def _version(value: bool) -> None:
    if value:
        from heatdrift import __version__

        say(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that come before a command."""


for register in (
    init.register,
    plan.register,
    fetch.register,
    data.register,
    doctor.register,
    train.register,
    scale.register,
    sql.register,
    exchange.register,
    status.register,
    ui.register,
    store.register,
    sync.register,
    stats.register,
    report.register,
    compare.register,
    measure.register,
    evaluate.register,
    interpolate.register,
    inspect_weights.register,
    maps.register,
    verify_protocol.register,
):
    register(app)


def main() -> None:
    """Run the command line: exit 2 for what the user can correct, 130 for Ctrl-C (Typer), a traceback for our bugs."""
    try:
        app(standalone_mode=True)
    except HeatdriftError as error:
        show_error(error.message, error.hint)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
