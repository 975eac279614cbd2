"""Import of the folders that W&B writes next to a training script (`wandb/run-*`, `wandb/offline-run-*`).

A run's `.wandb` file is a log in LevelDB's framing (blocks of 32 KiB, records in pieces of seven bytes header and
data) of protobuf messages `Record` (wandb/proto/wandb_internal.proto, MIT licence). Read are settings, history,
summary and exit code; a log that ends in the middle, of a process that was killed, is read up to there.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heatdrift.decoding import MOST_LOG, decoding, read_whole
from heatdrift.errors import DataError
from heatdrift.store.importers.protobuf_wire import fields, part, parts, texts, whole
from heatdrift.store.importers.tracked import Tracked, by_step, flattened

_START: Final = b":W&B\xe1\xbe\x00"
_BLOCK: Final = 32768
_HEADER: Final = 7
_FULL, _LAST = 1, 4
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18  # fields of Record
_KEY, _NESTED, _JSON = 1, 2, 16  # fields of an item


def is_wandb(path: Path) -> bool:
    """Whether a path is such a file, or a folder that holds some."""
    return path.suffix == ".wandb" if path.is_file() else any(path.rglob("run-*.wandb"))


def read_wandb(path: Path) -> Iterator[Tracked]:
    """Yield the runs of a `.wandb` file or of all that lie in a folder, in the order of their folders' names.

    Raises
    ------
    DataError
        A file is no such log.
    """
    files = [path] if not path.is_dir() else sorted(p for p in path.rglob("run-*.wandb") if not _is_latest(p))
    hint = "name a folder wandb/ or a .wandb file"
    for file in files:
        with decoding(lambda said, file=file: DataError(f"cannot read {file} as a W&B log: {said}", hint=hint)):  # type: ignore[misc]
            run = _run(file)
        yield run


def _is_latest(file: Path) -> bool:
    return file.parent.name == "latest-run"  # a link to the newest one


def _run(file: Path) -> Tracked:
    settings: dict[str, object] = {}
    summary: dict[str, object] = {}
    logged: list[tuple[int, dict[str, object]]] = []
    name, status = "", "running"
    for record in _records(file):
        for number, value in fields(record):
            if not isinstance(value, bytes):
                continue
            if number == _RUN:
                name = (texts(value, 8) or [name])[-1]
                settings |= _items(part(value, 4) or b"")
                settings["run_id"] = (texts(value, 1) or [""])[-1]
            elif number == _CONFIG:
                settings |= _items(value)
            elif number == _SUMMARY:
                summary |= _items(value)
            elif number == _HISTORY:
                step = part(value, 2)
                logged.append((whole(step, 1) if step else 0, _items(value)))
            elif number == _EXIT:
                status = "failed" if whole(value, 1) else "finished"
    history = {name for _, values in logged for name in values}
    return Tracked(
        label=f"run {name or file.stem}",
        settings={n: v for n, v in settings.items() if not n.startswith("_wandb")}
        | {"run_name": name, "status": status, "source": settings.get("run_id", file.stem.removeprefix("run-"))},
        final={n: v for n, v in summary.items() if n not in history and not n.startswith("_")},
        steps=by_step((step, {n: v for n, v in values.items() if not n.startswith("_")}) for step, values in logged),
    )


def _items(message: bytes) -> dict[str, object]:
    """Return name -> value of the items of a message; a name in parts is `outer.inner`."""
    found: dict[str, object] = {}
    for item in parts(message, 1):
        name = ".".join(texts(item, _KEY) or texts(item, _NESTED))
        text = part(item, _JSON)
        if text is None:
            continue
        value = json.loads(text)
        found |= dict(flattened({name: value}))
    return found


def _records(file: Path) -> Iterator[bytes]:
    data = read_whole(file, most=MOST_LOG)
    if not data.startswith(_START):
        raise DataError(f"{file} is no W&B log", hint="name a folder wandb/ with run-* or offline-run-* in it")
    at, pieces = _HEADER, b""
    while at + _HEADER <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:  # what is left of a block is filled with zeros
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if at + _HEADER + size > len(data):
            return
        pieces += data[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        if kind in (_FULL, _LAST):
            yield pieces
            pieces = b""
