"""Downloads that report their progress and go on where they stopped. Used by data and model; knows neither."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

Report = Callable[[str, int, int | None], None]  # name, bytes done, bytes in all (None when the server does not say)
_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_RANGE_NOT_SATISFIABLE: Final = 416


def resume_download(url: str, part: Path, name: str, report: Report) -> None:
    """Fill `part` to its end, going on where an earlier call stopped if the server can.

    Raises
    ------
    OSError, http.client.HTTPException : not reachable, the disk is full, or the connection closes before the end.
    """
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
        raise OSError(f"the connection closed after {done} of {total} bytes; doing it again goes on from there")


def hub_bar(name: str, report: Report) -> Any:  # noqa: ANN401  what huggingface_hub takes for a tqdm class
    """Return a stand-in for the tqdm class that huggingface_hub takes: it draws nothing and calls `report`."""

    class Bar:
        """What huggingface_hub needs of a tqdm bar, passing bytes on to `report`."""

        def __init__(self, *_: object, total: int | None = None, initial: int = 0, **__: object) -> None:
            self.total, self.n = total, initial

        def __enter__(self) -> Self:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            self.close()

        def update(self, amount: float | None = 1) -> None:
            self.n += int(amount or 0)
            report(name, self.n, self.total)

        def close(self) -> None:
            """Nothing is held."""

        def __getattr__(self, _name: str) -> Callable[..., None]:
            return lambda *_, **__: None  # descriptions, postfixes, rates: the caller has its own bar

    return Bar
