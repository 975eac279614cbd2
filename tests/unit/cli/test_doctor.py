import json
import shutil
from importlib import metadata
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from heatdrift.cli import doctor as module
from heatdrift.cli.main import app
from heatdrift.report.formats.pdf import find_browser


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """An empty folder with the tiny study's inputs at hand; commands run there."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def doctor(*arguments):
    result = CliRunner().invoke(app, ["doctor", *arguments, "--format", "json"], catch_exceptions=False)
    return result.exit_code, {row["check"]: row for row in json.loads(result.stdout)}


def test_a_machine_with_all_there_is_ready(place):
    code, checks = doctor("--study", "study.toml")
    assert code == 0, checks
    assert {"python", "packages", "device", "threads", "precision", "store", "chromium", "weights tiny"} <= set(checks)
    assert "torch" in checks["packages"]["found"]
    assert checks["data hues/test"]["found"] == "parquet:hues_test.parquet: there, no manifest"
    assert "heatdrift fetch --study study.toml" in checks["data hues/test"]["advice"]
    CliRunner().invoke(app, ["fetch", "--study", "study.toml"], catch_exceptions=False)
    assert "manifest with 24 images" in doctor("--study", "study.toml")[1]["data hues/test"]["found"]


def test_without_a_study_it_checks_the_machine(place):
    code, checks = doctor()
    assert code == 0
    assert "--study NAME" in checks["study"]["advice"]


def test_what_is_missing_has_a_line_with_advice_and_exit_2(place):
    (place / "tiny.safetensors").unlink()
    (place / "hues_test.parquet").unlink()
    code, checks = doctor("--study", "study.toml")
    assert code == 2
    broken = {name: row for name, row in checks.items() if row["state"] == "missing"}
    assert set(broken) == {"weights tiny", "data hues/test"}
    assert all(row["advice"] for row in broken.values())


def test_a_store_that_is_no_database_is_broken(place):
    (place / "notes.duckdb").write_text("these are my notes " * 20)
    code, checks = doctor("--store", "notes.duckdb")
    assert (code, checks["store"]["state"]) == (2, "missing")
    assert "notes.duckdb" in checks["store"]["found"]


def test_a_store_is_opened_and_counted(place, trained):
    shutil.copytree(trained, place / "runs")
    assert doctor()[1]["store"]["found"].endswith("2 runs of 1 studies")


def test_an_unknown_study_is_a_line(place):
    code, checks = doctor("--study", "demoo")
    assert (code, checks["study"]["state"]) == (2, "missing")
    assert "demo" in checks["study"]["advice"]


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch):
    needed = ["numpy>=999", "nosuchpackage>=1", "later>1; extra == 'mlflow'"]
    monkeypatch.setattr(metadata, "requires", lambda _: needed)
    (python, packages) = module.packages()
    assert python.state == "ok"
    assert packages.state == "missing"
    assert packages.found == f"numpy {metadata.version('numpy')}, needed >=999; nosuchpackage is not installed"


@pytest.mark.parametrize(("free", "state"), [(10**8, "missing"), (10**9, "warn"), (10**11, "ok")])
def test_little_disk_is_said(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    check = module.disk("disk", tmp_path / "not" / "yet")
    assert (check.state, bool(check.advice)) == (state, state != "ok")
    assert str(tmp_path) in check.found


def test_unreadable_pictures_are_a_warning(place):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table("hues_test.parquet")
    images = table["image"].to_pylist()
    images[3] = b""
    pq.write_table(table.set_column(0, "image", pa.array(images, pa.binary())), "hues_test.parquet")
    CliRunner().invoke(app, ["fetch", "--study", "study.toml"], catch_exceptions=False)
    code, checks = doctor("--study", "study.toml")
    assert (code, checks["data hues/test"]["state"]) == (0, "warn")
    assert "--skip-unreadable" in checks["data hues/test"]["advice"]


def test_a_machine_without_chromium_is_only_warned(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = module.browser()
    assert (found.state, "PDF needs Chromium" in found.found) == ("warn", True)
    assert found.advice.startswith("only report --format pdf needs it")


def test_doctor_and_report_look_for_the_same_browser(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    own = tmp_path / "my-browser"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(own))
    assert (module.browser().state, module.browser().found) == ("ok", str(find_browser()))
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "none"))
    assert (module.browser().state, "is no program" in module.browser().found) == ("warn", True)
