"""What a store folder holds besides cells, to and from a remote: plans, bulk parts, reference points.

All of it is kept by content: an object whose bytes are not those that its name states is reported and left out.
"""

import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from heatdrift.decoding import decoding, or_none, read_whole
from heatdrift.errors import RecordError
from heatdrift.store.bulk_parts import PARTS, Part, find_parts, part_damage
from heatdrift.store.files import cannot_write, write_bytes
from heatdrift.store.reference_points import FOLDER as POINTS
from heatdrift.store.reference_points import find_points, read_points
from heatdrift.store.remote import MOST_BYTES, Remote
from heatdrift.store.sync_cells import SyncProblem
from heatdrift.store.sync_layout import Listing, digest, stated_digest

_VIEW: Final = re.compile(r"[a-z_]{1,40}\.parquet")
_PLACES: Final = ("file", "data_dir")  # of a plan: paths of the machine that made it


class Moved(msgspec.Struct, kw_only=True):
    """How many plans, parts and sets of points were sent or taken, and what was passed over."""

    files: int = 0
    problems: list[SyncProblem] = []


def push_files(remote: Remote, store_folder: Path, listing: Listing, *, dry_run: bool = False) -> Moved:
    """Send plans, points and parts that the remote lacks; a part's own list of its files last."""
    done = Moved()
    for what in _local(store_folder, done):
        lacking = [(name, data) for name, data in what if listing.files.get(name) != len(data)]
        done.files += bool(lacking)
        for name, data in lacking if not dry_run else ():
            remote.write(name, data)
            listing.add(name, len(data))
    return done


def _local(store_folder: Path, done: Moved) -> Iterator[list[tuple[str, bytes]]]:
    """Yield what a store folder has, each as the objects that it is on a remote, in the order of writing."""
    for path in sorted(store_folder.glob("*/plan.json")):
        data = or_none(lambda path=path: _portable_plan(read_whole(path)))  # type: ignore[misc]
        if data is not None:
            yield [(f"{path.parent.name}/plan-{digest(data)}.json", data)]
    for sha256, path in find_points(store_folder).items():
        try:
            read_points(path)
        except RecordError as error:
            done.problems.append(SyncProblem(where=str(path), reason=f"not pushed: {error.problem}"))
            continue
        yield [(f"{POINTS}/{sha256}.json", path.read_bytes())]
    for part in find_parts(store_folder):
        if damage := part_damage(part):
            done.problems.append(SyncProblem(where=str(part.folder), reason=f"not pushed: {damage}"))
            continue
        files = [*sorted(part.folder.glob("*.parquet")), part.folder / "part.json"]
        objects = [(path.suffix, read_whole(path, most=MOST_BYTES)) for path in files]
        yield [(f"{PARTS}/{part.sha256}/{digest(data)}{suffix}", data) for suffix, data in objects]


def _portable_plan(data: bytes) -> bytes:
    """Return a kept plan without the paths of the machine that made it."""
    plan: dict[str, Any] = msgspec.json.decode(data, type=dict)
    return msgspec.json.encode({key: value for key, value in plan.items() if key not in _PLACES}, order="sorted")


def pull_files(remote: Remote, store_folder: Path, listing: Listing, *, dry_run: bool = False) -> Moved:
    """Take plans of studies that have none here, points and parts that are not here."""
    done = Moved()
    for name in sorted(listing.files):
        head, _, file = name.rpartition("/")
        try:
            if head == POINTS:
                _take(remote, name, listing.files[name], store_folder / POINTS / file, done, dry_run=dry_run)
            elif head.startswith(f"{PARTS}/") and file.endswith(".json"):
                _take_part(remote, name, listing, store_folder / head, done, dry_run=dry_run)
            elif file.startswith("plan-"):
                _take(remote, name, listing.files[name], store_folder / head / "plan.json", done, dry_run=dry_run)
        except RecordError as error:
            done.problems.append(SyncProblem(where=str(error.path), reason=error.problem))
    return done


def _take(remote: Remote, name: str, size: int, path: Path, done: Moved, *, dry_run: bool) -> None:
    if path.exists():
        return
    if not dry_run:
        write_bytes(path, whole(remote, name, size))
    done.files += 1


def _take_part(remote: Remote, name: str, listing: Listing, folder: Path, done: Moved, *, dry_run: bool) -> None:
    """Take a part into a folder in the making, check it there, and give it its name."""
    if (folder / "runs.parquet").exists():
        return
    if dry_run:
        done.files += 1
        return
    info = whole(remote, name, listing.files[name])
    with decoding(lambda said: RecordError(Path(name), said)):
        stated: dict[str, str] = msgspec.json.decode(info, type=dict)["files"]
        files = {str(file): f"{name.rpartition('/')[0]}/{sha256}.parquet" for file, sha256 in stated.items()}
    for file, source in files.items():
        if source not in listing.files or not _VIEW.fullmatch(file):
            raise RecordError(Path(name), f"{file}, which it names, is not there")
    making = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        for file, source in files.items():
            write_bytes(making / file, whole(remote, source, listing.files[source]))
        write_bytes(making / "part.json", info)
        if damage := part_damage(Part(folder=making, sha256=folder.name)):
            raise RecordError(Path(name), damage)
        making.rename(folder)
    except OSError as cause:
        if not (folder / "runs.parquet").exists():  # else another process was first
            raise cannot_write(folder, cause) from cause
    finally:
        shutil.rmtree(making, ignore_errors=True)
    done.files += 1


def whole(remote: Remote, name: str, size: int) -> bytes:
    """Return the bytes of an object that is named by their hash; RecordError where they are others, or too many."""
    if size > MOST_BYTES:
        raise RecordError(Path(name), f"{size} bytes are too many for one object")
    data = remote.read(name)
    if digest(data) != stated_digest(name):
        raise RecordError(Path(name), "half-uploaded or changed: its checksum is not the one in its name")
    return data
