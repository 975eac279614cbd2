"""Wheel and sdist, built and installed in an environment of their own, answer README's Python outside the clone.

The dependencies are those of this environment; only the build backend is fetched.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "python.md")
OWN = """
import pathlib, sys, heatdrift
assert "torch" not in sys.modules and "polars" not in sys.modules
assert not pathlib.Path(heatdrift.__file__).is_relative_to(sys.argv[1]), heatdrift.__file__
assert (pathlib.Path(heatdrift.__file__).parent / "py.typed").is_file()
print(heatdrift.__version__)
"""


def snippet():
    """README's first Python block; that of docs/python.md while README has none."""
    found = [
        block for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]
    return found[0]


def run(*command, **settings):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python of a new environment that sees this one's packages, and not the clone."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", folder)
    made = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(run(made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    fetched = subprocess.run([made, "-m", "pip", "install", "-q", "hatchling>=1.25"], check=False, capture_output=True)
    if fetched.returncode:
        pytest.skip("the build backend hatchling cannot be fetched here")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def built(python, tmp_path_factory):
    """Folder with the wheel and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(python, "-m", "hatchling", "build", "-d", out, cwd=ROOT)
    return out


def test_both_hold_the_shipped_study_and_the_type_marker(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"heatdrift/py.typed", "heatdrift/shipped/mini/plan.json"} <= names
    assert sum(name.endswith("/record.json") for name in names) == 80
    assert wheel.stat().st_size < 12e6
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        listed = archive.getnames()
    assert sum(name.endswith("/record.json") for name in listed) == 80


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_what_is_installed_answers_the_snippet_outside_the_clone(kind, python, built, tmp_path):
    (package,) = built.glob(kind)
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--force-reinstall", package)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEATDRIFT", "PYTHONPATH"))}
    settings = {"cwd": tmp_path, "env": {**kept, "HEATDRIFT_CACHE": str(tmp_path / "cache")}}
    assert run(python, "-c", OWN, ROOT, **settings).strip() == "0.1.0"
    assert "LoRA" in run(python, "-c", snippet(), **settings)
    assert "80" in run(python, "-m", "heatdrift", "sql", "select 80 as n", "--store",
                       next((tmp_path / "cache").rglob("heatdrift.duckdb")), **settings)  # fmt: skip


pytestmark = pytest.mark.slow
