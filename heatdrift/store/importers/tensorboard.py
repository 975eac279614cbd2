"""Import of TensorBoard event files: scalars, and the settings that the hparams plugin keeps.

An event file is a TFRecord (length, checksum, data, checksum) of protobuf messages `Event`
(tensorboard/compat/proto/event.proto, summary.proto, tensorboard/plugins/hparams/plugin_data.proto; Apache licence). A
folder with event files is a run; a folder within it is part of it: PyTorch's `add_hparams` writes settings and final
values into one, Keras `train` and `validation`. Scalars are in single precision: 0.6 is what was 0.60000002.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.decoding import MOST_LOG, decoding, read_whole
from heatdrift.errors import DataError
from heatdrift.store.importers.protobuf_wire import double, fields, part, parts, single, texts, whole
from heatdrift.store.importers.tracked import Tracked, by_step

_FILES: Final = "*tfevents*"
_HPARAMS: Final = "hparams"
_FLOAT, _DOUBLE = 1, 2  # types of a tensor
_ENDS: Final = {1: "finished", 2: "failed", 3: "running"}  # hparams' Status
_NO_RESULT: Final = "hp_metric"  # Lightning's stand-in where nobody named a metric


class _Events(msgspec.Struct, kw_only=True):
    """What the event files of one folder hold."""

    settings: dict[str, object] = {}
    final: dict[str, object] = {}
    points: list[tuple[int, dict[str, object]]] = []


def is_tensorboard(path: Path) -> bool:
    """Whether a path is an event file or a folder that holds some."""
    return "tfevents" in path.name if path.is_file() else any(path.rglob(_FILES))


def read_tensorboard(path: Path) -> Iterator[Tracked]:
    """Yield the runs of a folder, or of one event file, in the order of their names.

    Raises
    ------
    DataError
        A file cannot be read, or is no event file.
    """
    files = [path] if not path.is_dir() else sorted(file for file in path.rglob(_FILES) if file.is_file())
    folders = {file.parent for file in files}
    runs: dict[Path, _Events] = {}
    for file in files:
        top = [folder for folder in (file.parent, *file.parent.parents) if folder in folders][-1]
        found = _read(file)
        inner = file.parent.relative_to(top)
        prefix = "" if inner == Path() else f"{inner.as_posix()}/"  # Keras' train and validation have the same names
        run = runs.setdefault(top, _Events())
        run.settings |= found.settings
        if found.settings and inner != Path():  # the end of the run, though PyTorch gives it step 0
            run.final |= {name: value for _, values in found.points for name, value in values.items()}
            continue
        run.points += [(step, {f"{prefix}{n}": v for n, v in values.items()}) for step, values in found.points]
    for folder, run in runs.items():
        name = folder.name if folder == path or path.is_file() else folder.relative_to(path).as_posix()
        once, points = _final(run.points)
        yield Tracked(
            label=f"run {name}",
            settings={**run.settings, "run_name": name, "source": name},
            final=run.final | once,
            steps=by_step(points),
        )


def _final(
    points: list[tuple[int, dict[str, object]]],
) -> tuple[dict[str, object], list[tuple[int, dict[str, object]]]]:
    """Take out what was logged once: a value of the end of the run, whatever its step."""
    times: dict[str, int] = {}
    for _, values in points:
        for name in values:
            times[name] = times.get(name, 0) + 1
    several = any(n > 1 for n in times.values())
    once = {name for name, n in times.items() if n == 1} if several else set(times)
    final = {name: value for _, values in points for name, value in values.items() if name in once}
    rest = [(step, kept) for step, values in points if (kept := {n: v for n, v in values.items() if n not in once})]
    return final, rest


def _read(file: Path) -> _Events:
    found = _Events()
    hint = "name a folder that TensorBoard shows"
    with decoding(lambda said: DataError(f"{file} is no event file: {said}", hint=hint)):
        for event in _records(read_whole(file, most=MOST_LOG)):
            step = whole(event, 2)
            summary = part(event, 5)
            for value in parts(summary, 1) if summary else ():
                tag = (texts(value, 1) or [""])[-1]
                metadata = part(value, 9)
                plugin = part(metadata, 1) if metadata else None
                if plugin and (texts(plugin, 1) or [""])[-1] == _HPARAMS:
                    found.settings |= _settings(part(plugin, 2) or b"")
                elif tag != _NO_RESULT and (number := _scalar(value)) is not None:
                    found.points.append((step, {tag: number}))
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the messages of a TFRecord; one that is cut off at the end, as a killed process leaves it, is none."""
    at = 0
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        if at == 0 and size > len(data):
            raise ValueError(f"its first record would have {size} bytes")
        if at + 12 + size > len(data):
            return
        yield data[at + 12 : at + 12 + size]
        at += 16 + size


def _scalar(value: bytes) -> float | None:
    """Return `simple_value`, or a tensor of one number."""
    plain = part(value, 2)
    if plain is not None:
        return single(plain)
    tensor = part(value, 8)
    if tensor is None:
        return None
    kind, content = whole(tensor, 1), part(tensor, 4) or b""
    if kind == _FLOAT and (held := content or part(tensor, 5) or b"") and len(held) == 4:
        return single(held)
    if kind == _DOUBLE and (held := content or part(tensor, 6) or b"") and len(held) == 8:
        return double(held)
    return None


def _settings(content: bytes) -> Mapping[str, object]:
    """Return what the hparams plugin says of a session: its settings when it begins, how it ended when it does."""
    start, end = part(content, 3), part(content, 4)
    found: dict[str, object] = {}
    for entry in parts(start, 1) if start else ():
        names, value = texts(entry, 1), part(entry, 2)
        if names and value is not None:
            found[names[-1]] = _value(value)
    status = _ENDS.get(whole(end, 1)) if end else None
    return found | ({"status": status} if status else {})


def _value(message: bytes) -> object:
    """Return a google.protobuf.Value: a number, a text or a truth value."""
    for number, value in fields(message):
        if number == 2 and isinstance(value, bytes):
            return double(value)
        if number == 3 and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if number == 4:
            return bool(value)
    return None
