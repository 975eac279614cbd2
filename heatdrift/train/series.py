"""Which checkpoints are meant and of which epoch each is: files, model folders, adapters, or a folder of epochs."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from heatdrift.errors import ModelError
from heatdrift.model.layouts.adapters import is_adapter
from heatdrift.model.layouts.reading import FILES

SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
_NOT_MODELS: Final = ("optimizer", "scheduler", "rng_state", "training_args", "scaler", "head")


def checkpoints(given: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Models that paths name, a folder of epochs opened; and what was passed over, in words.

    Raises
    ------
    ModelError : nothing there, or a folder without a model in it.
    """
    found: list[Path] = []
    said: list[str] = []
    for path in given:
        if not path.exists():
            raise ModelError(f"there is no file or folder {path}", hint="check the path given with --adapted")
        if not path.is_dir() or is_model(path):
            found.append(path)
            continue
        inside = sorted((p for p in path.iterdir() if _is_checkpoint(p)), key=_natural)
        numbered = [p for p in inside if number_of(p) is not None]
        if numbered and len(numbered) < len(inside):
            left = ", ".join(p.name for p in inside if p not in numbered)
            said.append(f"passed over in {path.name}, whose other checkpoints have a number: {left}")
        if not inside:
            hint = f"files ({', '.join(SUFFIXES)}), model folders ({', '.join(FILES[:2])}) or peft adapters"
            raise ModelError(f"{path} holds no checkpoint", hint=hint)
        found += numbered or inside
    return found, said


def is_model(path: Path) -> bool:
    """Whether a folder is one model, or one adapter."""
    return is_adapter(path) or any((path / name).is_file() for name in FILES)


def _is_checkpoint(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return is_model(path) if path.is_dir() else path.suffix in SUFFIXES and not path.name.startswith(_NOT_MODELS)


def number_of(path: Path) -> int | None:
    """The last number in a checkpoint's name: 10 of epoch_10.pt, 500 of checkpoint-500."""
    name = path.name if path.is_dir() else path.stem
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else None


def epochs_of(paths: Sequence[Path], stated: Sequence[int | None]) -> list[int]:
    """Epoch of each model: as its checkpoint states, else the number in its name, else its place.

    One way counts for all: numbers must rise from above 0, because 0 is the base. A single model is epoch 1 where it
    states none.
    """
    if len(paths) == 1:
        return [stated[0] or 1]
    for numbers in (list(stated), [number_of(path) for path in paths]):
        known = [n for n in numbers if n is not None]
        if len(known) == len(paths) and known[0] > 0 and all(a < b for a, b in pairwise(known)):
            return known
    return list(range(1, len(paths) + 1))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order in which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
