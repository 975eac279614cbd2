"""``heatdrift maps``: attention maps as arrays and pictures, base, adapted and difference side by side."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.output import note, say
from heatdrift.errors import UnknownNameError

if TYPE_CHECKING:
    from heatdrift.report.map_pictures import MapRow
    from heatdrift.train.attention_maps import AttentionMaps


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("maps")(maps)


def maps(
    model: Annotated[str, typer.Option("--model", help="lab, MODEL/TAG of open_clip, or weights in any layout.")],
    images: Annotated[str, typer.Option("--images", help="Pictures: folder, Parquet file or source string.")],
    adapted: Annotated[
        str | None, typer.Option("--adapted", help="A model made from it: weights, model folder or peft adapter.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of maps.npz and a PNG per picture.")] = Path("maps"),
    n_images: Annotated[int, typer.Option("--n-images", min=1, help="Pictures, the first ones.")] = 12,
    block: Annotated[
        list[int] | None, typer.Option("--block", help="Block in the pictures, from 0 (repeatable). Default: the last.")
    ] = None,
    head: Annotated[
        list[int] | None,
        typer.Option("--head", help="Head in the pictures, from 0 (repeatable). Default: the mean over heads."),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="Architecture of a model by path: JSON file, or open_clip's MODEL.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto.")] = "cpu",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out pictures that do not decode.")
    ] = False,
) -> None:
    """Write class token and rollout attention maps: all blocks and heads as arrays, the chosen ones as pictures.

    Example: `heatdrift maps --model lab --images photos --adapted epoch_10.pt --block 0 --block 11`
    """
    import numpy as np

    from heatdrift.report.files import write_file
    from heatdrift.report.map_pictures import side_by_side
    from heatdrift.train.attention_maps import attention_maps
    from heatdrift.train.device import resolve_device

    found = attention_maps(
        model,
        adapted,
        images=images,
        n_images=n_images,
        config=config,
        device=resolve_device(device),
        skip_unreadable=skip_unreadable,
    )
    n_blocks, n_heads = found.base.cls.shape[1:3]
    blocks = _known("block", block or [n_blocks - 1], n_blocks)
    heads = _known("head", head or [], n_heads)
    names = [found.base.name, *([found.adapted.name] if found.adapted else [])]
    for number, picture in enumerate(found.crops):
        rows = _rows(found, number, blocks, heads)
        write_file(out / f"{number:03d}_{Path(found.pictures[number]).stem}.png", side_by_side(picture, rows, names))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **found.arrays())  # type: ignore[arg-type]
    say(str(write_file(out / "maps.npz", buffer.getvalue())))
    note(f"{len(found.crops)} pictures in {out}; arrays: {', '.join(found.arrays())}")


def _known(kind: str, given: Sequence[int], n: int) -> list[int]:
    for number in given:
        if not 0 <= number < n:
            raise UnknownNameError(kind, str(number), map(str, range(n)))
    return list(given)


def _rows(found: "AttentionMaps", image: int, blocks: Sequence[int], heads: Sequence[int]) -> "list[MapRow]":
    from heatdrift.report.map_pictures import MapRow

    base, other = found.base, found.adapted
    rows = [
        MapRow(
            label="rollout",
            base=base.rollout[image].astype(float),
            adapted=None if other is None else other.rollout[image].astype(float),
        )
    ]
    for block in blocks:
        for chosen in [[head] for head in heads] or [list(range(base.cls.shape[2]))]:
            label = f"block {block}, " + (f"head {chosen[0]}" if heads else "mean of heads")
            rows.append(
                MapRow(
                    label=label,
                    base=base.cls[image, block, chosen].mean(0, dtype=float),
                    adapted=None if other is None else other.cls[image, block, chosen].mean(0, dtype=float),
                )
            )
    return rows
