"""``heatdrift stats``: one command per question, made from what the question declares."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from heatdrift.cli.model import model
from heatdrift.cli.options import ConfOption, ResultFormat
from heatdrift.cli.output import note, show_answer
from heatdrift.cli.runs import Selection, chooses_runs, run_arrays, selected_views, study_rows
from heatdrift.questions import QUESTIONS
from heatdrift.questions.base import Question
from heatdrift.questions.options import Option


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Test what the runs say; every result has study, n, unit and method. Differences are method_a - method_b.",
    )
    for question in QUESTIONS:
        group.command(question.name)(chooses_runs(_command(question)))
    group.command("model")(model)
    group.command("all")(chooses_runs(_all))
    app.add_typer(group, name="stats")


def _all(*, chosen: Selection, fmt: ResultFormat, verbose: bool, conf_level: ConfOption = 0.95) -> None:
    """Ask everything that a page asks: the primary questions first, then all tests with one adjustment.

    Example: `heatdrift stats all --format latex`
    """
    from heatdrift.questions.asking import all_results

    show_answer(all_results(study_rows(chosen, conf_level=conf_level, note=note)), fmt, verbose=verbose)


def _command(question: Question) -> Callable[..., None]:
    """Return the command of a question: Typer reads its options and its help off the function."""

    def command(*, chosen: Selection, fmt: ResultFormat, verbose: bool, **given: object) -> None:
        options = {option.parameter: given[option.name] for option in question.options}
        frames = selected_views(chosen, *question.views, metrics=_texts(given))
        arrays = [run_arrays(chosen, frames[0], question.arrays)] if question.arrays else []
        show_answer(question.ask(*frames, *arrays, **options), fmt, verbose=verbose)

    parameters = [_parameter(option) for option in question.options]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__name__ = question.name
    command.__doc__ = f"{question.help}\n\nExample: `{question.example}`"
    return command


def _texts(given: dict[str, object]) -> list[str]:
    """Return every text among the values of options: a metric by name is one of them."""
    values = [one for value in given.values() for one in (value if isinstance(value, list) else [value])]
    return [value for value in values if isinstance(value, str)]


def _parameter(option: Option) -> inspect.Parameter:
    limits: dict[str, Any] = {"min": option.low, "max": option.high}
    limits = {name: value for name, value in limits.items() if value is not None}
    annotation = Annotated[option.type, typer.Option(option.flag, help=option.help, **limits)]  # type: ignore[name-defined]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotation)
