"""Where numbers come from: commit, dirty flag, package versions, machine, clock. What every record keeps."""

import hashlib
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from heatdrift.records import Provenance

PACKAGES: Final = (
    "heatdrift",
    "torch",
    "open_clip_torch",
    "peft",
    "numpy",
    "torchvision",
    "pillow",
    "duckdb",
    "polars",
)


def utc_now() -> str:
    """Now as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def git_state(folder: Path) -> tuple[str | None, bool | None, str | None]:
    """Commit, dirty flag and hash of the diff against it of the checkout around `folder`; None each when there is none.

    Untracked files do not count as dirty: data and runs lie there. The diff covers everything tracked.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, None, None
    diff = _git(folder, "diff", "HEAD", "--no-ext-diff", "--binary")
    if diff is None:
        return commit.strip(), None, None
    return commit.strip(), bool(diff), hashlib.sha256(diff.encode()).hexdigest() if diff else None


def _git(folder: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *command],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def collect() -> Provenance:
    """State of code and machine, without what only a run knows (device, threads, splits): fill those in with `replace`.

    The commit is that of heatdrift's own checkout; an installed package has none and is known by its version.
    """
    package = Path(__file__).resolve().parent
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py") is not None
    commit, dirty, diff = git_state(package) if tracked else (None, None, None)
    return Provenance(
        commit=commit,
        dirty=dirty,
        diff_sha256=diff,
        packages={name: found for name in PACKAGES if (found := _version(name)) is not None},
        python=platform.python_version(),
        platform=platform.platform(),
        host=socket.gethostname(),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
