"""``hf:OWNER/NAME[@REVISION]/[CONFIG:]SPLIT``: Parquet shards of a data set on the Hugging Face hub.

Opening never downloads: it looks into ``<data folder>/hf/OWNER/NAME`` (files put there by hand) and into the hub's own
cache (HF_HUB_CACHE). :func:`fetch_hub` downloads into that cache, through huggingface_hub.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heatdrift.config import Reading
from heatdrift.data.files import file_sha256
from heatdrift.data.hub_layout import HubReference, card_features, parse_reference, split_files
from heatdrift.data.images import LabelledImages, listed
from heatdrift.data.parquet import AS_IT_LIES, read_shards
from heatdrift.decoding import decoding
from heatdrift.downloads import Report, hub_bar
from heatdrift.errors import DataError

CARD: Final = "README.md"
_SHARD: Final = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]+)?\.parquet$")
_LFS_BLOB: Final = re.compile(r"[0-9a-f]{64}")  # the cache names blobs of large files by their SHA-256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """A folder with files of one revision; `revision` is None where nobody can tell."""

    root: Path
    revision: str | None

    def names(self) -> tuple[str, ...]:
        return tuple(
            sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*.parquet") if path.is_file())
        )


def hub_identity(place: str, _folder: Path) -> str:
    """Hash of the reference: known before the data are there, and the same afterwards."""
    return hashlib.sha256(parse_reference(place).source.encode()).hexdigest()


def check_hub(place: str, folder: Path) -> None:
    """Raise DataError when shards of the split are missing; nothing is read but the data set card."""
    reference = parse_reference(place)
    _shards(reference, _locate(reference, folder, None), folder)


def open_hub(place: str, folder: Path, revision: str | None, reading: Reading = AS_IT_LIES) -> LabelledImages:
    """Open a split from disk; `revision` is the commit that a manifest names, else what the cache resolves to.

    `reading` names columns, and the number of the first class.

    Raises
    ------
    DataError : not there or not complete, no such split, a blob that is not what its name says, or as
        :func:`heatdrift.data.parquet.open_parquet`.
    """
    reference = parse_reference(place)
    snapshot = _locate(reference, folder, revision)
    paths = [snapshot.root / name for name in _shards(reference, snapshot, folder)]
    card = card_features(_card(snapshot), reference)
    images = read_shards(
        paths, root=snapshot.root, source=f"hf:{place}", card=card, revision=snapshot.revision, reading=reading
    )
    for path, entry in zip(paths, images.files, strict=True):
        blob = path.resolve().name
        if _LFS_BLOB.fullmatch(blob) and blob != entry.sha256:
            hint = f"delete {path.resolve()} and run heatdrift fetch again"
            raise DataError(f"{path} is damaged: its sha256 is {entry.sha256[:12]}..., not {blob[:12]}...", hint=hint)
    return images


def _locate(reference: HubReference, folder: Path, revision: str | None) -> _Snapshot:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    by_hand = folder / "hf" / reference.repo
    if by_hand.is_dir():
        return _Snapshot(root=by_hand, revision=None)
    for wanted in dict.fromkeys((revision or reference.revision, reference.revision)):
        try:
            root = snapshot_download(
                reference.repo,
                repo_type="dataset",
                revision=wanted,
                local_files_only=True,
                allow_patterns=[CARD],
                cache_dir=constants.HF_HUB_CACHE,
            )
        except LocalEntryNotFoundError:
            continue
        return _Snapshot(root=Path(root), revision=Path(root).name)
    problem = (
        f"data set {reference.repo} (revision {reference.revision}) is not on this machine: looked in {by_hand} and in "
        f"the hub's cache {constants.HF_HUB_CACHE}"
    )
    raise DataError(problem, hint=how_to_get(reference, folder))


def how_to_get(reference: HubReference, folder: Path) -> str:
    """Say how to get a split, with and without a network; the command is on a line of its own."""
    revision = "" if reference.revision == "main" else f" --revision {reference.revision}"
    pattern = f"*{reference.split}*.parquet"
    name = reference.repo.rpartition("/")[2]
    return (
        "heatdrift fetch with the same --study; or, on a machine with a network:\n"
        f"  hf download {reference.repo} --repo-type dataset{revision} --include '{pattern}' --include {CARD} "
        f"--local-dir {name}\n"
        f"and copy its folder {name} to {folder / 'hf' / reference.repo}"
    )


def _card(snapshot: _Snapshot) -> Mapping[str, Any]:
    """The front matter of the data set card; empty without one."""
    from huggingface_hub.repocard import metadata_load

    path = snapshot.root / CARD
    if not path.is_file():
        return {}
    again = "fetch the data set again"
    with decoding(lambda reason: DataError(f"{path} has no readable front matter: {reason}", hint=again)):
        return metadata_load(path) or {}


def _shards(reference: HubReference, snapshot: _Snapshot, folder: Path) -> tuple[str, ...]:
    """Names of the split's shards, complete; DataError otherwise."""
    found = split_files(reference, snapshot.names(), _card(snapshot))
    have = {match["number"] for name in found if (match := _SHARD.search(name))}
    promised = max((int(match["count"]) for name in found if (match := _SHARD.search(name))), default=0)
    missing = [f"{number:05d}-of-{promised:05d}" for number in range(promised) if f"{number:05d}" not in have]
    if not found or missing:
        what = f"shards {listed(missing)}" if missing else f"Parquet files of split {reference.split!r}"
        problem = f"{reference.repo}: {what} are missing in {snapshot.root}"
        raise DataError(problem, hint=how_to_get(reference, folder))
    return found


def fetch_hub(place: str, folder: Path, report: Report) -> None:
    """Download what is missing of a split into the hub's cache and verify it; whole files are never fetched twice.

    Raises
    ------
    DataError : offline, no such data set, revision or split, the connection or the disk fails, or a file whose hash is
        not the one that the hub states.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # whichever HTTP client it uses

    reference = parse_reference(place)
    try:
        check_hub(place, folder)
    except DataError as absent:
        if constants.is_offline_mode() or (folder / "hf" / reference.repo).is_dir():
            raise
        problem = absent.message
    else:
        return

    def download(name: str) -> Path:
        bar = hub_bar(f"{reference.repo}/{name}", report)
        return Path(
            hf_hub_download(
                reference.repo,
                name,
                repo_type="dataset",
                revision=reference.revision,
                cache_dir=constants.HF_HUB_CACHE,
                tqdm_class=bar,
            )
        )

    try:
        info = HfApi().dataset_info(reference.repo, revision=reference.revision, files_metadata=True)
        siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        root = download(CARD).parent if CARD in siblings else Path()
        wanted = split_files(reference, list(siblings), _card(_Snapshot(root=root, revision=None)) if root.name else {})
        for name in wanted:
            path = download(name)
            lfs = siblings[name].lfs
            if lfs is not None and file_sha256(path) != lfs.sha256:
                path.resolve().unlink()
                raise DataError(f"{path} was damaged on its way and is deleted", hint="run heatdrift fetch again")
    except (OSError, HTTPError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{problem}; downloading failed: {reason}", hint=how_to_get(reference, folder)) from error
    check_hub(place, folder)
