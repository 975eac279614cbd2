"""Archives by HTTP: a download that goes on where it stopped, is checked by MD5, and unpacked whole or not at all."""

import hashlib
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from heatdrift.decoding import decoding
from heatdrift.downloads import Report, resume_download
from heatdrift.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A published archive: its file name, where it lies, and its MD5 as its publisher or torchvision states it."""

    name: str
    url: str
    md5: str


def download_archive(archive: Archive, folder: Path, report: Report, absent: DataError) -> None:
    """Download `archive` into `folder`, verify it and unpack it there; a whole archive found there is not loaded again.

    A partial download is kept as ``NAME.part`` and continued by the next call. `absent` says what the user misses: its
    message and hint lead the error when there is no network.

    Raises
    ------
    DataError : no connection, disk full, an archive of another MD5 (it is deleted) or one that cannot be unpacked.
    """
    whole, part = folder / archive.name, folder / f"{archive.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (whole.is_file() and _md5(whole) == archive.md5):
            _offline(absent)
            resume_download(archive.url, part, archive.name, report)
            if _md5(part) != archive.md5:
                part.unlink()
                problem = f"{archive.url} does not have the MD5 {archive.md5} that it should have"
                raise DataError(problem, hint="run heatdrift fetch again; if it stays so, the archive was changed")
            part.replace(whole)
        problem = f"{absent.message}; {whole} cannot be unpacked"
        with decoding(lambda said: DataError(f"{problem}: {said}", hint=absent.hint)):
            _unpack(whole, folder)
    except (OSError, HTTPException) as error:
        raise DataError(f"{absent.message}; downloading failed: {error}", hint=absent.hint) from error


def _offline(absent: DataError) -> None:
    """Respect HF_HUB_OFFLINE for every download: whoever sets it wants no traffic at all."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        raise absent


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(whole: Path, folder: Path) -> None:
    """Unpack next to the place and rename, so that what is there is whole.

    Members that would land outside are refused (by the tar data filter) or brought inside (by extractall of zip).
    """
    making = folder / f".{whole.name}.tmp"
    shutil.rmtree(making, ignore_errors=True)
    try:
        if whole.suffix == ".zip":
            with zipfile.ZipFile(whole) as packed:
                packed.extractall(making)
        else:
            if not hasattr(tarfile, "data_filter"):
                problem = f"{whole} cannot be unpacked safely: this Python has no filter against members outside"
                raise DataError(problem, hint="Python 3.11.4 or newer")
            with tarfile.open(whole) as packed_tar:
                packed_tar.extractall(making, filter="data")
        for child in making.iterdir():
            if (folder / child.name).is_dir():
                shutil.rmtree(folder / child.name)
            child.replace(folder / child.name)
    finally:
        shutil.rmtree(making, ignore_errors=True)
