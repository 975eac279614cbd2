"""A weights file -> its tensors under its own names, whatever wrote it. Nothing in a file is ever executed."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from heatdrift.decoding import decoding, or_none, read_whole
from heatdrift.errors import ModelError
from heatdrift.model.identity import weight_parts

_LFS: Final = b"version https://git-lfs"
_PICKLE: Final = b"\x80"  # torch.save of before 2020; since then it writes a zip
_AGAIN: Final = "copy or download it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a weights file holds, undone from its container.

    Attributes
    ----------
    value : name -> tensor for safetensors; whatever torch.save was given, nested tables too, otherwise.
    container : in words, for people.
    metadata : of safetensors; empty elsewhere.
    """

    value: Mapping[str, Any]
    container: str
    metadata: Mapping[str, str]


def read_container(path: Path) -> Contents:
    """Read safetensors (one file, or the index of several) or what torch.save wrote, the latter without running code.

    Raises
    ------
    ModelError : no file, 0 bytes, a Git LFS pointer, a web page, a pickle that would run code, a TorchScript archive, a
        truncated file: each is named.
    """
    parts = weight_parts(path)
    for part in parts:
        _refuse_no_weights(part)
    if path.suffix == ".json":
        found = [_safetensors(part) for part in parts[1:]]
        tensors = {name: tensor for content in found for name, tensor in content.value.items()}
        _check_index(path, tensors)
        return Contents(value=tensors, container=f"safetensors in {len(found)} files", metadata=found[0].metadata)
    head = _head(path)
    if head[8:9] != b"{" and head.startswith((b"PK\x03\x04", _PICKLE)):  # safetensors: 8 bytes of length, then JSON
        return _torch_file(path)
    return _safetensors(path)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(512)


def _refuse_no_weights(path: Path) -> None:
    """Name what is saved under the name of weights so often that it deserves its own sentence."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint="check the path; a sharded model needs all of its files")
    head = _head(path)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise ModelError(f"{path} is empty (0 bytes)", hint=_AGAIN)
    if head.startswith(_LFS):
        hint = "git lfs install, then git lfs pull in that repository"
        raise ModelError(f"{path} is a Git LFS pointer: the address of the weights, not the weights", hint=hint)
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        hint = "the download answered with an error page: open the address in a browser, log in, download again"
        raise ModelError(f"{path} is a web page, not weights", hint=hint)


def _safetensors(path: Path) -> Contents:
    hint = f"it may be truncated: {_AGAIN}; weights in another format are read from .pt, .pth, .bin and .ckpt"
    with decoding(lambda said: ModelError(f"{path} is not a readable safetensors file: {said}", hint=hint)):
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
        return Contents(value=load_file(path), container="safetensors", metadata=metadata)


def _torch_file(path: Path) -> Contents:
    """What torch.save wrote, read with ``weights_only=True``: tensors and plain values, no code."""

    def refuse(reason: str) -> ModelError:
        problem = f"{path} begins as a file of torch.save and cannot be read: {reason[:200]}"
        return ModelError(problem, hint=f"it may be truncated: {_AGAIN}")

    try:
        with decoding(refuse, but=(pickle.UnpicklingError,)), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a pickle's protocol: what it means is said below
            _refuse_script(path)
            with path.open("rb") as stream:  # given a path, torch goes by its suffix, and names lie
                value = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _code(path) from error
    if not isinstance(value, Mapping):
        problem = f"{path} holds {type(value).__name__}, no table of tensors"
        raise ModelError(problem, hint="torch.save(model.state_dict(), FILE) saves one")
    return Contents(value=value, container="torch.save, read without code", metadata={})


def _refuse_script(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as opened:
        if any(name.endswith("/constants.pkl") for name in opened.namelist()):
            problem = f"{path} is a TorchScript archive, which carries code and is not opened"
            hint = "OpenAI's own weights are read by name: ViT-B-32-quickgelu/openai; others: save their state_dict"
            raise ModelError(problem, hint=hint)


def _code(path: Path) -> ModelError:
    # of a pickle of before 2020, or one that torch did not write, nobody knows the names
    names = or_none(lambda: torch.serialization.get_unsafe_globals_in_checkpoint(str(path))) or []
    wanted = f" (it calls {', '.join(sorted(names)[:4])})" if names else ""
    problem = f"{path} is a pickle that needs code to be read{wanted}; it was not run"
    return ModelError(problem, hint="where you trust it: torch.save(model.state_dict(), FILE), or save safetensors")


def _check_index(path: Path, tensors: Mapping[str, object]) -> None:
    with decoding(lambda said: ModelError(f"{path} is no index of sharded weights: {said}", hint=_AGAIN)):
        named = msgspec.json.decode(read_whole(path).removeprefix(b"\xef\xbb\xbf"))["weight_map"]
    if missing := sorted(named.keys() - tensors.keys()):
        problem = f"{path} names {len(missing)} tensors that its files do not hold (first: {missing[0]})"
        raise ModelError(problem, hint="download all files of the model again")
