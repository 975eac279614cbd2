"""Files from an address or from the Hugging Face hub, whole or not at all. Torch-free."""

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, but not re-exported for mypy

from heatdrift.errors import ModelError
from heatdrift.model.identity import file_sha256

Report = Callable[[str, int, int | None], None]
_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_RANGE_NOT_SATISFIABLE: Final = 416


def from_address(url: str, target: Path, sha256: str, report: Report) -> Path:
    """Download `url` to `target`, continuing what an interrupted download left in ``<target>.part``.

    The file appears under its name only when its hash is right.

    Raises
    ------
    ModelError : not reachable, cut short, the disk is full, or the bytes have another hash than `sha256`.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _append(url, part, target.name, report)
    except (OSError, HTTPException) as error:  # URLError and a full disk are OSErrors
        raise ModelError(f"{url} cannot be downloaded: {error}", hint="run it again: it continues") from error
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        problem = f"what {url} sent has sha256 {found[:12]}..., not {sha256[:12]}...; it was deleted"
        raise ModelError(problem, hint="run it again, or get the file another way")
    part.replace(target)
    return target


def _append(url: str, part: Path, name: str, report: Report) -> None:
    """Fill `part` to its end; OSError when the connection closes before."""
    done = part.stat().st_size if part.is_file() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urlopen(request, timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if done and error.code == _RANGE_NOT_SATISFIABLE:  # nothing is left to send: the hash will tell
            return
        raise
    with response:
        if done and response.status != 206:  # the server sends it from the start
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        with part.open("ab" if done else "wb") as out:
            report(name, done, total)
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                report(name, done, total)
    if total is not None and done < total:
        raise OSError(f"the connection closed after {done} of {total} bytes")


def from_hub(repository: str, file: str, report: Report) -> Path:
    """Download one file of a model repository into the hub's own cache, or find it there.

    Raises
    ------
    ModelError : offline or not reachable, no such repository, or no such file in it.
    """
    try:
        return Path(hf_hub_download(repository, file, tqdm_class=_reporting(file, report)))
    except LocalEntryNotFoundError as error:  # offline counts as "not found here"; it is an EntryNotFoundError too
        problem = f"hf:{repository}/{file} is neither in the cache nor reachable"
        raise ModelError(problem, hint="connect to the network, or copy the file by hand") from error
    except EntryNotFoundError as error:
        problem = f"hf:{repository} has no {file}: it holds a pickle only, which is not read"
        raise ModelError(problem, hint="convert it to safetensors where that is safe") from error
    except Exception as error:  # whatever its transport raises, which changes with its versions
        problem = f"hf:{repository}/{file} cannot be downloaded: {error}"
        raise ModelError(problem, hint="run it again, or copy the file by hand") from error


def _reporting(file: str, report: Report) -> type[tqdm]:
    """A progress bar that draws nothing and tells `report` instead."""

    class Reporting(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  passed on as they come
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            report(file, self.n, self.total)

        def update(self, n: float | None = 1) -> bool | None:
            self.n += int(n or 0)
            report(file, self.n, self.total)
            return None

        def update_transfer(self, n: float | None = 1) -> None:
            """Bytes on the wire, which the client counts apart where a class can take them: not reported twice."""

        def set_transfer_postfix_str(self, *args: object, **kwargs: object) -> None:
            """Speed on the wire: not shown."""

    return Reporting
