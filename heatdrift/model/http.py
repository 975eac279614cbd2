"""Files from an address or from the Hugging Face hub, whole or not at all. Torch-free."""

from http.client import HTTPException
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from heatdrift.downloads import Report, hub_bar, resume_download
from heatdrift.errors import ModelError
from heatdrift.model.identity import file_sha256


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
        resume_download(url, part, target.name, report)
    except (OSError, HTTPException) as error:  # URLError and a full disk are OSErrors
        raise ModelError(f"{url} cannot be downloaded: {error}", hint="run it again: it continues") from error
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        problem = f"what {url} sent has sha256 {found[:12]}..., not {sha256[:12]}...; it was deleted"
        raise ModelError(problem, hint="run it again, or get the file another way")
    part.replace(target)
    return target


def from_hub(repository: str, file: str, report: Report) -> Path:
    """Download one file of a model repository into the hub's own cache, or find it there.

    Raises
    ------
    ModelError : offline or not reachable, no such repository, or no such file in it.
    """
    try:
        return Path(hf_hub_download(repository, file, tqdm_class=hub_bar(file, report)))
    except LocalEntryNotFoundError as error:  # offline counts as "not found here"; it is an EntryNotFoundError too
        problem = f"hf:{repository}/{file} is neither in the cache nor reachable"
        raise ModelError(problem, hint="connect to the network, or copy the file by hand") from error
    except EntryNotFoundError as error:
        problem = f"hf:{repository} has no {file}: it holds a pickle only, which is not read"
        raise ModelError(problem, hint="convert it to safetensors where that is safe") from error
    except Exception as error:  # whatever its transport raises, which changes with its versions
        problem = f"hf:{repository}/{file} cannot be downloaded: {error}"
        raise ModelError(problem, hint="run it again, or copy the file by hand") from error
