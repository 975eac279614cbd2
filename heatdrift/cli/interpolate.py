"""``heatdrift interpolate``: the models between a base and an adapted one, and which of them to take."""

from pathlib import Path
from typing import Annotated

import typer

from heatdrift.cli.options import Format, FormatOption
from heatdrift.cli.output import note, show_answer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("interpolate")(interpolate)


def interpolate(
    base: Annotated[str, typer.Option("--base", help="lab, MODEL/TAG of open_clip, or weights in any layout.")],
    adapted: Annotated[str, typer.Option("--adapted", help="Weights, model folder or peft adapter.")],
    transfer: Annotated[str, typer.Option("--transfer", help="Labelled source for zero-shot, such as folder:PATH.")],
    target: Annotated[
        str | None, typer.Option("--target", help="Labelled source of what was trained: accuracy is measured too.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="Its classifier. Default: head.safetensors of --adapted, or zero-shot.")
    ] = None,
    alpha: Annotated[str, typer.Option("--alpha", help="first:last:step, or values with commas.")] = "0:1:0.1",
    margin: Annotated[float, typer.Option("--margin", help="Points of target accuracy that may be given up.")] = 2.0,
    keep: Annotated[float, typer.Option("--keep", help="Without --target: percent of zero-shot to keep.")] = 95.0,
    images: Annotated[
        str | None, typer.Option("--images", help="Pictures for the probes. Default: the transfer set's.")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="Architecture of a base by path: JSON file, or open_clip's MODEL.")
    ] = None,
    template: Annotated[str, typer.Option("--template", help="Prompt for zero-shot.")] = "a photo of a {}.",
    n_images: Annotated[int, typer.Option("--n-images", min=1, help="Pictures drawn for the probes.")] = 200,
    n_transfer: Annotated[
        int | None, typer.Option("--n-transfer", min=1, help="Images of the transfer set. Default: all.")
    ] = None,
    n_target: Annotated[
        int | None, typer.Option("--n-target", min=1, help="Images of the target set. Default: all.")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the recommended model (.safetensors).")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto.")] = "cpu",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out pictures that do not decode.")
    ] = False,
    fmt: FormatOption = Format.table,
) -> None:
    """Measure the models between base and adapted: what each keeps, what it gains, and which one to take.

    Example: `heatdrift interpolate --base lab --adapted tuned --transfer lab/beetles --target lab/terrain`
    """
    from heatdrift.train.device import resolve_device
    from heatdrift.train.interpolation import alphas_of
    from heatdrift.train.interpolation import interpolate as interpolated

    found = interpolated(
        base,
        adapted,
        transfer=transfer,
        target=target,
        head=head,
        images=images,
        alphas=alphas_of(alpha),
        margin=margin,
        keep=keep,
        config=config,
        template=template,
        n_images=n_images,
        n_transfer=n_transfer,
        n_target=n_target,
        save=save,
        device=resolve_device(device),
        skip_unreadable=skip_unreadable,
        on_alpha=lambda value, done, total: note(f"{done + 1} of {total}: alpha {value:g}"),
    )
    show_answer(found, fmt, verbose=True)
    if found.saved is not None:
        note(f"written: {found.saved}")
