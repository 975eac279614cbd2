"""Whole files or none: what a report writes appears under its name by an atomic rename."""

import os
import tempfile
from pathlib import Path

from heatdrift.errors import ReportError


def write_file(path: Path, content: str | bytes, *, hint: str = "choose another place with --out") -> Path:
    """Write `content` (text as UTF-8) to `path`, making its folder, and return the path.

    `hint` says how whoever asked for the file names another place.

    Raises
    ------
    ReportError
        The folder or the file cannot be written; what was there before is left as it was.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        draft = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)
    return path
