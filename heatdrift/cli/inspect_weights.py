"""``heatdrift inspect``: what a file or folder of weights is."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.options import Format, FormatOption
from heatdrift.cli.output import show_json, show_list, show_rows

if TYPE_CHECKING:
    from heatdrift.model.layouts.description import Tower, WeightsDescription


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("inspect")(inspect)


def inspect(
    file: Annotated[Path, typer.Argument(help="Weights in any layout, a model folder, or a peft adapter folder.")],
    fmt: FormatOption = Format.table,
) -> None:
    """Say what weights are: layout, architecture, sizes, activation and how it was decided, hashes.

    Code in a file is never run.

    Example: `heatdrift inspect epoch_10.pt`
    """
    from heatdrift.model.layouts.description import describe

    found = describe(file)
    if fmt is Format.json:
        show_json(found)
    elif fmt is Format.csv:
        show_rows([{"what": name, "found": text} for name, text in _facts(found)], fmt)
    else:
        show_list(_facts(found))


def _facts(found: "WeightsDescription") -> Iterator[tuple[str, str]]:
    """Name and words of everything that is known, in reading order."""
    yield "file", found.path
    yield "layout", found.layout
    for text in found.converted:
        yield "converted", text
    yield "configuration", found.config or "none next to it"
    if found.visual is not None:
        yield "visual tower", _tower(found.visual)
    if found.patch_size is not None and found.image_size is not None:
        yield "images", f"{found.image_size} px in patches of {found.patch_size} px"
    if found.text is not None:
        yield "text tower", _tower(found.text)
    if found.embed_dim is not None:
        yield "embedding", str(found.embed_dim)
    if found.activation is not None:
        yield "activation", f"{found.activation.name or 'not known'} ({found.activation.decided_by})"
    yield "parameters", f"{found.parameters:,}, of the visual tower {found.visual_parameters:,}"
    if found.precision:
        yield "precision", ", ".join(f"{kind} ({n} tensors)" for kind, n in found.precision.items())
    if found.epoch is not None:
        yield "epoch", str(found.epoch)
    for name, text in found.metadata.items():
        yield f"says {name}", text
    yield "sha256", found.sha256
    if found.config_sha256 is not None:
        yield "sha256 of the configuration", found.config_sha256
    for problem in found.problems:
        yield "problem", problem


def _tower(tower: "Tower") -> str:
    heads = f"{tower.heads} heads" if tower.heads is not None else "heads not in the weights"
    return f"{tower.blocks} blocks of width {tower.width} (MLP {tower.mlp_width}), {heads}, {tower.tokens} positions"
