import os
import shlex
import sys

import pytest

from heatdrift.errors import ReportError
from heatdrift.report.document import document_html
from heatdrift.report.formats.pdf import find_browser, write_pdf


def script(path, body):
    """A program that runs `body`; a #! line cannot name an interpreter whose path is long or has spaces."""
    code = path.with_suffix(".py")
    code.write_text(body)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(code))} "$@"\n')
    path.chmod(0o755)
    return path


PRINTS = """
import sys, urllib.request, urllib.parse, pathlib
out = [a for a in sys.argv if a.startswith("--print-to-pdf=")][0].split("=", 1)[1]
page = urllib.request.url2pathname(urllib.parse.urlparse(sys.argv[-1]).path)
pathlib.Path(out).write_bytes(b"%PDF-" + pathlib.Path(page).read_bytes())
"""


def test_without_a_browser_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReportError, match="needs Chromium") as error:
        find_browser()
    assert "apt install chromium" in error.value.hint


def test_a_wrong_browser_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(ReportError, match="is no program"):
        find_browser()


@pytest.mark.skipif(os.name != "posix", reason="the browser of this test is a script with a #! line")
def test_what_is_printed_is_the_page_without_scripts(monkeypatch, tmp_path, document):
    monkeypatch.setenv("CHROMIUM", str(script(tmp_path / "browser", PRINTS)))
    path = write_pdf(document, tmp_path / "out" / "demo.pdf")
    assert path.read_bytes() == b"%PDF-" + document_html(document, live=False).encode()
    assert b"vegaEmbed" not in path.read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="the browser of this test is a script with a #! line")
def test_a_browser_that_prints_nothing_is_an_error(monkeypatch, tmp_path, document):
    broken = script(tmp_path / "browser", "import sys; print('no display', file=sys.stderr); sys.exit(3)")
    monkeypatch.setenv("CHROMIUM", str(broken))
    with pytest.raises(ReportError, match=r"printed no PDF \(exit code 3\): no display"):
        write_pdf(document, tmp_path / "demo.pdf")
    assert not (tmp_path / "demo.pdf").exists()
