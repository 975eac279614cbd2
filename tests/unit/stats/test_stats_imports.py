"""heatdrift/stats is arrays only: it imports the standard library, NumPy, SciPy, the errors and itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import heatdrift

STATS = Path(heatdrift.__file__).parent / "stats"
ALLOWED = ("numpy", "scipy", "heatdrift.errors", "heatdrift.stats")


def imported(path):
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            yield str(node.module)


def outside(path):
    def fine(name):
        return name.split(".")[0] in sys.stdlib_module_names or any(f"{name}.".startswith(f"{a}.") for a in ALLOWED)

    return [name for name in imported(path) if not fine(name)]


@pytest.mark.parametrize("path", sorted(STATS.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_of_stats_imports_arrays_only(path):
    assert outside(path) == []


def test_the_rule_sees_what_it_forbids(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("import math\nimport polars as pl\ndef f():\n    from heatdrift.questions import pairs\n")
    assert outside(path) == ["polars", "heatdrift.questions"]


def test_no_module_of_stats_loads_the_slow_part_of_scipy():
    """scipy.stats and scipy.optimize cost every command some tenths of a second; whoever needs one imports it late."""
    names = [f"heatdrift.stats.{path.stem}" for path in STATS.glob("*.py") if path.stem != "__init__"]
    code = f"import sys, {', '.join(names)}; sys.exit(bool({{'scipy.stats', 'scipy.optimize'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
