"""``heatdrift evaluate``: zero-shot in a stated set-up, and what a published set-up would make of it."""

from typing import Annotated

import typer

from heatdrift.cli.options import Format, FormatOption
from heatdrift.cli.output import note, show_answer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("evaluate")(evaluate)


def evaluate(
    model: Annotated[
        str, typer.Option("--model", "--base", help="lab, MODEL/TAG of open_clip, or weights in any layout.")
    ],
    transfer: Annotated[str, typer.Option("--transfer", help="Labelled source, such as folder:PATH.")],
    adapted: Annotated[
        str | None, typer.Option("--adapted", help="A model made from it: weights, model folder or peft adapter.")
    ] = None,
    templates: Annotated[
        str,
        typer.Option("--templates", help="A prompt with {}, a released list (openai/imagenet80), or a file of them."),
    ] = "a photo of a {}.",
    classes: Annotated[
        str | None,
        typer.Option("--classes", help="Class names: a names file or a released list. Default: the source's."),
    ] = None,
    underscores: Annotated[bool, typer.Option("--underscores", help="Keep underscores of class names.")] = False,
    interpolation: Annotated[
        str | None, typer.Option("--interpolation", help="bilinear or bicubic. Default: the model's.")
    ] = None,
    antialias: Annotated[
        bool | None, typer.Option("--antialias/--no-antialias", help="Widen the filter. Default: the model's.")
    ] = None,
    activation: Annotated[
        str | None, typer.Option("--activation", help="quick_gelu or gelu. Default: the model's.")
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32, bfloat16 or float16.")] = "float32",
    published: Annotated[
        str | None,
        typer.Option(
            "--published",
            help="Compare with a published set-up: openai, openai/cifar100, preprint80, leakfree78, backbone16.",
        ),
    ] = None,
    n_transfer: Annotated[
        int | None, typer.Option("--n-transfer", min=1, help="Images of the transfer set. Default: all.")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="Architecture of a model by path: JSON file, or open_clip's MODEL.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto.")] = "cpu",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out pictures that do not decode.")
    ] = False,
    fmt: FormatOption = Format.table,
) -> None:
    """Classify images zero-shot, and say how much of the accuracy is the set-up's.

    With --published, each thing that differs is changed alone, then all together: filter, prompt, class names,
    activation, precision.

    Example: `heatdrift evaluate --model lab --transfer lab:beetles/test --published openai`
    """
    from heatdrift.train.device import resolve_device
    from heatdrift.train.zero_shot import evaluate as evaluated

    found = evaluated(
        model,
        transfer,
        adapted=adapted,
        templates=templates,
        classes=classes,
        underscores=underscores,
        interpolation=interpolation,
        antialias=antialias,
        activation=activation,
        precision=precision,
        published=published,
        n_transfer=n_transfer,
        config=config,
        device=resolve_device(device),
        skip_unreadable=skip_unreadable,
        on_step=lambda name, done, total: note(f"{done} of {total} set-ups done; now: {name}"),
    )
    show_answer(found, fmt, verbose=True)
