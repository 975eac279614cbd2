"""A remote: a folder of whole objects on another disk or in an object store, reached through fsspec.

Only four things are asked of it: list the names, read one, write one, and that an object appears whole or not at all.
Object stores give the last by themselves (an upload counts when it is complete); on a disk the file is renamed into
place. Nothing is ever deleted. Names say what the content is (``sync_layout.py``), so whoever writes a name writes the
same bytes: many machines can write at once without conditional writes, which only some S3 servers have, and an upload
that was cut short can be done again, which a conditional write would refuse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from heatdrift.errors import HeatdriftError, RecordError, StoreError
from heatdrift.store.files import write_bytes

_INSTALL: Final = {  # protocol -> what reads it
    "s3": "'heatdrift[cloud]'",
    "s3a": "'heatdrift[cloud]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}
_ON_DISK: Final = ("file", "local")
_IN_MEMORY: Final = "memory"  # of one process: for tests
_NO_CREDENTIALS: Final = ("NoCredentials", "PartialCredentials", "DefaultCredentials", "ClientAuthentication")
_NO_ANSWER: Final = ("Connect", "Timeout", "ServiceRequestError", "gaierror", "RetryError")
MOST_BYTES: Final = 4 * 2**30  # of one object; it is held in memory once


class Remote:
    """The objects below one URL; made by `open_remote`."""

    def __init__(self, url: str, files: Any, root: str, *, on_disk: bool) -> None:  # noqa: ANN401 - fsspec is untyped
        self.url = url
        self.root = root
        self.on_disk = on_disk
        self._files = files

    def names(self) -> dict[str, int]:
        """Return name -> bytes of every object there now; an object store may show a new one a little later.

        Raises
        ------
        StoreError
            There is no such bucket, no right to list it, or no answer.
        """
        with self._asking("list"):
            self._files.invalidate_cache()
            found = self._files.find(self.root, detail=True)
        start = len(self.root.rstrip("/")) + 1
        return {path[start:]: int(about["size"] or 0) for path, about in found.items() if about["type"] == "file"}

    def read(self, name: str) -> bytes:
        """Return the bytes of an object.

        Raises
        ------
        RecordError
            It is not there: a listing and what it lists need not be of the same moment.
        StoreError
            It cannot be read.
        """
        with self._asking(f"read {name} of"):
            try:
                data: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError as cause:
                raise RecordError(Path(name), "listed, but not there (yet)") from cause
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all; StoreError where it cannot be written."""
        if self.on_disk:
            write_bytes(Path(self._path(name)), data)
            return
        with self._asking(f"write {name} to"):
            self._files.pipe_file(self._path(name), data)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except HeatdriftError:
            raise
        except Exception as cause:
            raise _refused(self.url, doing, cause) from cause


def open_remote(url: str, store_folder: Path) -> Remote:
    """Return the remote that a folder or a URL names; a folder need not be there yet.

    Parameters
    ----------
    url : a folder, or ``s3://BUCKET/...``, ``gs://BUCKET/...``, ``az://CONTAINER/...``.
    store_folder : the folder of the store at hand, which cannot be its own remote.

    Raises
    ------
    StoreError
        Another kind of URL, a package that is not installed (with the command), a client that cannot be made, or a
        folder that is, or lies in, the store folder.
    """
    import fsspec

    protocol, found, path = url.partition("://")
    if not found:
        protocol, path = "file", url
    if protocol not in (*_INSTALL, *_ON_DISK, _IN_MEMORY):
        raise StoreError(
            f"cannot sync with {url}: {protocol}:// is no kind of place that heatdrift knows",
            hint="name a folder, or s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER",
        )
    if not path.strip("/") and protocol not in _ON_DISK:
        raise StoreError(f"{url} names no bucket", hint=f"{protocol}://BUCKET/FOLDER")
    if protocol in _ON_DISK:
        folder = Path(path).resolve()
        if folder.is_relative_to(store_folder.resolve()):
            where = "is" if folder == store_folder.resolve() else "lies in"
            raise StoreError(f"{url} {where} the folder of the store itself", hint="name a folder elsewhere")
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{url} is not a folder", hint="name a folder, which is made if it is not there")
        return Remote(url, fsspec.filesystem("file"), str(folder), on_disk=True)
    try:
        files = fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=protocol != _IN_MEMORY)
    except ImportError as cause:
        raise StoreError(
            f"{protocol}:// needs a package that is not installed: {cause}",
            hint=f"python -m pip install {_INSTALL[protocol]}",
        ) from cause
    except Exception as cause:
        raise _refused(url, "open", cause) from cause
    return Remote(url, files, str(files._strip_protocol(url)), on_disk=False)


def _refused(url: str, doing: str, cause: Exception) -> StoreError:
    """Return the error that says in a user's words what a client raised."""
    kind, said = type(cause).__name__, " ".join(str(cause).split())[:300] or type(cause).__name__
    if isinstance(cause, PermissionError):
        return StoreError(
            f"no right to {doing} {url}: {said}",
            hint="ask for the rights to list, read and write objects there, or choose other credentials",
        )
    if isinstance(cause, FileNotFoundError):
        return StoreError(f"cannot {doing} {url}: it is not there ({said})", hint="check the name, or make the bucket")
    if any(word in kind for word in _NO_CREDENTIALS):
        return StoreError(
            f"no credentials for {url}: {said}", hint="log in with the provider's own tool, or set its variables"
        )
    if isinstance(cause, ConnectionError | TimeoutError) or any(word in kind for word in _NO_ANSWER):
        return StoreError(
            f"no answer from {url}: {said}", hint="check the network, then the same command: it goes on where it was"
        )
    return StoreError(f"cannot {doing} {url}: {said}", hint="the same command goes on where it was")
