"""Commands that messages offer: whole, quoted, ready to be pasted."""

import os
import shlex
from collections.abc import Collection
from pathlib import Path

import typer

from heatdrift.errors import HeatdriftError


def train_command(study: str, *, store: Path | None = None, data_dir: str | None = None) -> str:
    """Return the command that trains what is not finished of a study, in the places that the options named."""
    words = ["heatdrift", "train", "--all", "--study", study]
    words += ["--store", str(store)] if store else []
    words += ["--data-dir", data_dir] if data_dir else []
    return shlex.join(words)


def fetch_command(study: str, data_dir: str | None = None) -> str:
    """Return the command that gets what a study needs."""
    return shlex.join(["heatdrift", "fetch", "--study", study, *(["--data-dir", data_dir] if data_dir else [])])


def naming_study(error: HeatdriftError, study: str, data_dir: Path | None) -> HeatdriftError:
    """Return `error` with the whole fetch command in its hint: the stages that wrote it do not know how it is named."""
    whole = fetch_command(study, str(data_dir) if data_dir else None)
    if error.hint:
        error.hint = error.hint.replace("heatdrift fetch with the same --study", whole)
        error.hint = error.hint.replace("heatdrift fetch --study NAME", whole)
    return error


def same_command(context: typer.Context, without: Collection[str] = ()) -> str:
    """Return the command that runs now, with the options that were given but those (parameter names) in `without`."""
    words = [str(context.info_name)]
    root = context.find_root()  # its name is the program's, which python -m spells otherwise
    above = context.parent
    while above is not None and above is not root:
        words.insert(0, str(above.info_name))
        above = above.parent
    words.insert(0, "heatdrift")
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        if name in without or value is None or value == parameter.default:
            continue
        option = parameter.opts[0]
        if isinstance(value, bool):
            words += [option] if value else parameter.secondary_opts[:1]
            continue
        for item in value if isinstance(value, list | tuple) else (value,):
            words += [option, f"{item:g}" if isinstance(item, float) else str(item)]
    return shlex.join(words)


def from_here(path: Path) -> str:
    """Return `path` as it can be typed here: relative where it lies below the current folder or just next to it."""
    near = os.path.relpath(path)
    return near if near.count("..") <= 1 else str(path.absolute())
