"""Where the weights of a backbone lie, and how they get there. Torch-free; nothing is downloaded unless asked for.

The weights of a MODEL/TAG are looked for in this order: ``weights/`` in the data folder (put there by hand), the cache
of the Hugging Face hub, the folder where open_clip keeps what came from an address. Only safetensors and OpenAI's
TorchScript archives count; a pickle is never read. An archive can carry code, so one is opened only if it has the hash
that OpenAI published, and safetensors go first wherever there are some.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from huggingface_hub import constants, try_to_load_from_cache

from heatdrift.config import WHERE_DATA_LIES, BackboneSpec
from heatdrift.downloads import Report
from heatdrift.errors import ModelError
from heatdrift.model.http import from_address, from_hub
from heatdrift.model.identity import backbone_paths, file_sha256, is_tag
from heatdrift.model.tags import Pretrained, pretrained

HAND_FOLDER: Final = "weights"  # in the data folder
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_HUB_PICKLE: Final = "open_clip_pytorch_model.bin"


def where_weights(spec: BackboneSpec, folder: Path) -> Path | None:
    """Path of a backbone's weights, or None when they are not here. Nothing is hashed or decoded.

    Raises
    ------
    ModelError : there is no such backbone: not embedded, and open_clip has no such MODEL or TAG.
    """
    if not is_tag(spec):
        paths = backbone_paths(spec, folder)
        return paths[1] if all(path.is_file() for path in paths) else None
    return next((path for path in _places(pretrained(spec.name), folder) if path.is_file()), None)


def fetch_weights(spec: BackboneSpec, folder: Path, report: Report) -> Path:
    """Make sure that a backbone's weights are here and whole; download those of a MODEL/TAG if they are not.

    They come from the hub; OpenAI's archive from its published address where the hub does not give them (that address
    has answered 404 to many since 2025). Both go into the caches that open_clip uses too.
    An interrupted archive is continued; the hub's client starts an interrupted file again.

    Parameters
    ----------
    report : called with the file's name, bytes done and bytes in all (None when the server does not say).

    Raises
    ------
    ModelError : not to be had: offline, a pickle only, or another hash than published. The hint says which file to put
        where by hand.
    """
    found = where_weights(spec, folder)
    if not is_tag(spec):
        if found is None:
            raise absent_files(spec, folder)
        return found
    tag = pretrained(spec.name)
    if found is None or (found == _archive_cache(tag) and file_sha256(found) != tag.archive_sha256):
        found = _download(tag, folder, report)  # also over a damaged file of open_clip's cache, as open_clip does
    verified_sha256(spec, found)
    return found


def absent_files(spec: BackboneSpec, folder: Path) -> ModelError:
    """The error that says which file of a backbone given by files is missing."""
    missing = next(path for path in backbone_paths(spec, folder) if not path.is_file())
    problem = f"there is no file {missing}; backbone {spec.name!r} is given by files and cannot be downloaded"
    return ModelError(problem, hint=f"copy it there, or {WHERE_DATA_LIES}")


def missing_weights(spec: BackboneSpec, folder: Path) -> ModelError:
    """The error that says which weights are missing, where they are published and where to put them by hand."""
    tag = pretrained(spec.name)
    problem = f"the weights of {tag.name!r} are not on this machine"
    if tag.archive_url is None and tag.hub_repo and isinstance(try_to_load_from_cache(tag.hub_repo, _HUB_PICKLE), str):
        problem += f" as safetensors: the hub's cache has {_HUB_PICKLE}, a pickle, which is not read"
    return ModelError(problem, hint=f"heatdrift fetch --study NAME; without network: {_by_hand(tag, folder)}")


def verified_sha256(spec: BackboneSpec, path: Path) -> str:
    """SHA-256 of the weights file of a MODEL/TAG, checked against all that is known of it.

    Raises
    ------
    ModelError : another hash than OpenAI publishes, than the hub's cache names the file by, or than the study pins.
    """
    tag, found = pretrained(spec.name), file_sha256(path)
    blob = path.resolve().name
    published = tag.archive_sha256 if path.suffix == ".pt" else blob if _SHA256.fullmatch(blob) else None
    if published is not None and found != published:
        problem = f"{path} is damaged or another file: sha256 {found[:12]}..., published {published[:12]}..."
        raise ModelError(problem, hint=f"delete {path}, then heatdrift fetch --study NAME")
    if spec.sha256 is not None and found != spec.sha256:
        problem = (
            f"backbone {spec.name!r}: {path} has sha256 {found[:12]}..., the study file says {spec.sha256[:12]}..."
        )
        raise ModelError(problem, hint="use the weights that the study names, or pin the new hash on purpose")
    return found


def origin(spec: BackboneSpec, path: Path) -> tuple[str, str | None]:
    """Where a weights file of a MODEL/TAG came from, and the hub's commit (None elsewhere)."""
    tag = pretrained(spec.name)
    if path == _archive_cache(tag):
        return str(tag.archive_url), None
    if path.parent.parent.name == "snapshots":  # models--OWNER--NAME/snapshots/<commit>/<file>
        return f"hf:{tag.hub_repo}/{tag.hub_file}", path.parent.name
    return path.name, None


def _places(tag: Pretrained, folder: Path) -> Iterator[Path]:
    by_hand = folder / HAND_FOLDER / f"{tag.model}-{tag.tag}"
    yield Path(f"{by_hand}.safetensors")
    if tag.archive_url is not None:
        yield Path(f"{by_hand}.pt")
    if tag.hub_repo is not None and tag.hub_file is not None:
        cached = try_to_load_from_cache(tag.hub_repo, tag.hub_file)
        if isinstance(cached, str):
            yield Path(cached)
    if (archive := _archive_cache(tag)) is not None:
        yield archive


def _archive_cache(tag: Pretrained) -> Path | None:
    """Where open_clip keeps OpenAI's archive."""
    return None if tag.archive_url is None else Path.home() / ".cache" / "clip" / tag.archive_url.rsplit("/", 1)[-1]


def _by_hand(tag: Pretrained, folder: Path) -> str:
    stem = folder / HAND_FOLDER / f"{tag.model}-{tag.tag}"
    ways = []
    if tag.hub_repo:
        url = f"{constants.ENDPOINT}/{tag.hub_repo}/resolve/main/{tag.hub_file}"
        ways.append(f"put\n  {url}\nat {stem}.safetensors")
    if tag.archive_url:
        ways.append(f"put\n  {tag.archive_url}\nat {stem}.pt")
    return ", or ".join(ways) or f"put its state dict, converted to safetensors, at {stem}.safetensors"


def _download(tag: Pretrained, folder: Path, report: Report) -> Path:
    problems: list[str] = []
    archive = _archive_cache(tag)
    if constants.is_offline_mode():
        problems.append("HF_HUB_OFFLINE is set")
    else:
        if tag.hub_repo is not None and tag.hub_file is not None:
            try:
                return from_hub(tag.hub_repo, tag.hub_file, report)
            except ModelError as error:
                problems.append(error.message)
        if archive is not None and tag.archive_url is not None and tag.archive_sha256 is not None:
            try:
                return from_address(tag.archive_url, archive, tag.archive_sha256, report)
            except ModelError as error:
                problems.append(error.message)
    if archive is None and tag.hub_repo is None:
        problems.append("open_clip has it as a pickle only, which is not read")
    problem = f"cannot fetch the weights of {tag.name!r}: {'; '.join(problems)}"
    raise ModelError(problem, hint=f"run it again with a network, or {_by_hand(tag, folder)}")
