"""Results must be readable on a laptop: what only reads runs starts without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import heatdrift

PACKAGE = Path(heatdrift.__file__).parent
STAGES = ("plan", "data", "model", "train", "probes", "store", "stats", "report", "cli")
MEETING_PLACES = ("train", "cli")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sql", "select 1"],
        ["stats", "interaction", "--metric", "val_acc_pct"],
        ["stats", "correlation"],
        ["report", "--html"],
        ["plan", "--study", "demo"],
        ["train", "--all", "--study", "demo", "--dry-run"],
        ["status"],
    ],
    ids=lambda a: " ".join(a[:2]),
)
def test_reading_commands_import_no_torch(arguments, trained, tmp_path):
    code = (
        "import sys\n"
        "from heatdrift.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('torch' + str('torch' in sys.modules))\n"
    )
    environment = {"HEATDRIFT_STORE": str(trained / "heatdrift.duckdb"), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.stderr.endswith("torchFalse"), done.stderr[-500:]


@pytest.mark.parametrize("stage", ["store", "stats", "report", "plan"])
def test_stages_that_read_results_load_without_torch(stage):
    code = f"import sys, pkgutil, importlib, heatdrift.{stage} as s\n"
    code += "for m in pkgutil.walk_packages(s.__path__, s.__name__ + '.'): importlib.import_module(m.name)\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_stages_do_not_import_each_other():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        stage = path.relative_to(PACKAGE).parts[0]
        if stage not in STAGES or stage in MEETING_PLACES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                if parts[0] == "heatdrift" and len(parts) > 1 and parts[1] in STAGES and parts[1] != stage:
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_no_module_is_longer_than_400_lines():
    long = {
        str(path.relative_to(PACKAGE)): n
        for path in PACKAGE.rglob("*.py")
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}
