"""The bundle of scripts is kept for its user alone, and nothing that others could have written is ever used."""

import pytest
import vl_convert

from heatdrift.report import vega_bundle as module
from heatdrift.report.vega_bundle import vega_bundle


@pytest.fixture
def bundled(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "_bundled", lambda: calls.append(1) or "scripts();")
    return calls


def test_it_is_bundled_once_per_version(bundled, tmp_path, monkeypatch):
    folder = tmp_path / "scripts"
    assert vega_bundle(folder) == vega_bundle(folder) == "scripts();"
    assert len(bundled) == 1
    assert sorted(path.suffix for path in folder.iterdir()) == [".js", ".sha256"]
    assert (folder.stat().st_mode & 0o777) == 0o700
    monkeypatch.setattr(vl_convert, "get_vega_version", lambda: "0.0")
    vega_bundle(folder)
    assert len(bundled) == 2


@pytest.mark.parametrize("damage", ["text", "hash", "no hash", "not text", "file of others", "folder of others"])
def test_one_that_cannot_be_trusted_is_made_again(bundled, tmp_path, damage):
    folder = tmp_path / "scripts"
    vega_bundle(folder)
    (path,) = folder.glob("*.js")
    if damage == "text":
        path.write_text("evil();")
    elif damage == "not text":
        path.write_bytes(b"\xff\xfe\x00")
    elif damage == "hash":
        path.with_suffix(".sha256").write_text("0" * 64)
    elif damage == "no hash":
        path.with_suffix(".sha256").unlink()
    else:
        (path if damage == "file of others" else folder).chmod(0o777)
    assert vega_bundle(folder) == "scripts();"
    assert len(bundled) == 2
    if damage != "folder of others":  # what was made again is used
        assert vega_bundle(folder) == "scripts();"
        assert len(bundled) == 2


def test_a_folder_that_cannot_be_used_costs_the_time_only(bundled, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert vega_bundle(tmp_path / "file" / "scripts") == "scripts();"
    assert vega_bundle(None) == "scripts();"
