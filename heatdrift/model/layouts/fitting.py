"""Tensors and an architecture that do not fit: what is missing, unexpected or of another shape, grouped."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from heatdrift.errors import ModelError


def check_fit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], weights: str, architecture: str) -> None:
    """Refuse weights that are not those of an architecture; nothing is passed over.

    Raises
    ------
    ModelError : names and shapes that differ, grouped by what they have in common.
    """
    missing, unexpected = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    shapes = {name: (tuple(tensors[name].shape), tuple(wanted[name].shape)) for name in wanted if name in tensors}
    other = {name: (there, here) for name, (there, here) in shapes.items() if there != here}
    said = [f"missing {len(missing)}: {grouped(missing)}"] if missing else []
    said += [f"unexpected {len(unexpected)}: {grouped(unexpected)}"] if unexpected else []
    said += [f"{name} is {there}, not {here}" for name, (there, here) in list(other.items())[:3]]
    said += [f"{len(other) - 3} more of another shape"] if len(other) > 3 else []
    if not said:
        return
    blocks = {kind: (_blocks(tensors, kind), _blocks(wanted, kind)) for kind in ("visual.transformer", "transformer")}
    towers = {"visual.transformer": "visual tower", "transformer": "text tower"}
    said = [
        f"its {towers[kind]} has {there} blocks, not {here}"
        for kind, (there, here) in blocks.items()
        if there and there != here
    ] + said
    problem = f"{weights} does not fit the architecture {architecture}: {'; '.join(said)}"
    raise ModelError(problem, hint=_advice(other, only_positions=not missing and not unexpected))


def _blocks(names: Iterable[str], kind: str) -> int:
    """Blocks of a tower, by the numbers in the names of its tensors."""
    return len({found[1] for name in names if (found := re.match(rf"{re.escape(kind)}\.resblocks\.(\d+)\.", name))})


def _advice(other: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], *, only_positions: bool) -> str:
    if only_positions and set(other) == {"visual.positional_embedding"}:
        there = other["visual.positional_embedding"][0][0] - 1
        return f"the weights are for {there} patches (another image_size): give the configuration with that image_size"
    return "give the weights that were trained with this architecture (heatdrift inspect FILE shows what they are)"


def grouped(names: Iterable[str]) -> str:
    """Names with the numbers of blocks left out, each with how often it comes."""
    counted = Counter(re.sub(r"\.\d+\.", ".*.", name) for name in sorted(names))
    shown = ", ".join(f"{name} ({n})" if n > 1 else name for name, n in list(counted.items())[:6])
    return shown + (f" and {len(counted) - 6} more kinds" if len(counted) > 6 else "")


def refuse_not_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuse NaN and infinite weights: everything measured with them would be none.

    Raises
    ------
    ModelError : names the tensors and how many of their values are not finite.
    """
    bad = {
        n: int((~torch.isfinite(t)).sum())
        for n, t in tensors.items()
        if t.is_floating_point() and not torch.isfinite(t).all()
    }
    if bad:
        shown = ", ".join(f"{name} ({count} of {tensors[name].numel()})" for name, count in list(bad.items())[:3])
        more = f" and {len(bad) - 3} more tensors" if len(bad) > 3 else ""
        problem = f"{where} holds weights that are not finite (NaN or infinite): {shown}{more}"
        raise ModelError(problem, hint="the training diverged before it was saved: give an earlier checkpoint")
