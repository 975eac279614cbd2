"""A document as PDF, printed by a headless Chromium that is already on the machine: static drawings, no network."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from heatdrift.errors import ReportError
from heatdrift.report.document import Document, document_html
from heatdrift.report.files import write_file

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE: Final = "CHROMIUM"
_FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
)
_SECONDS: Final = 180


def find_browser() -> Path:
    """Return the browser that prints: that of the environment variable CHROMIUM, else the first on the PATH.

    Raises
    ------
    ReportError
        There is none, or CHROMIUM names a program that does not exist.
    """
    wanted = os.environ.get(VARIABLE)
    found = [path for name in ([wanted] if wanted else BROWSERS) if (path := shutil.which(name))]
    if found:
        return Path(found[0])
    raise ReportError(
        f"{VARIABLE}={wanted} is no program that can be started"
        if wanted
        else f"PDF needs Chromium, and none of {', '.join(BROWSERS)} is on the PATH",
        hint="install it (Debian: apt install chromium; macOS: brew install chromium) or set CHROMIUM=/path/to/chrome; "
        "--format html needs nothing",
    )


def write_pdf(document: Document, path: Path) -> Path:
    """Print the document to `path` and return the path; the page is the HTML report without its scripts.

    Raises
    ------
    ReportError
        No browser; it failed or took longer than three minutes; or the file cannot be written.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="heatdrift-pdf-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        page, printed = folder / "report.html", folder / "report.pdf"
        page.write_text(document_html(document, live=False), encoding="utf-8")
        command = [str(browser), *_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={printed}"]
        if os.name == "posix" and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium's sandbox refuses to run as root; the page has no script
        try:
            done = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReportError(f"{browser} could not print the report: {error}", hint="--format html") from error
        data = printed.read_bytes() if printed.exists() else b""
        if not data.startswith(b"%PDF-"):
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise ReportError(
                f"{browser} printed no PDF (exit code {done.returncode}){': ' + last[0] if last else ''}",
                hint="try another browser: CHROMIUM=/path/to/chrome, or --format html",
            )
    return write_file(path, data)
