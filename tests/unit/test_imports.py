"""Results must be readable on a laptop: what only reads runs starts without torch."""

import subprocess
import sys

import pytest


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


@pytest.mark.parametrize("stage", ["store", "stats", "questions", "report", "plan"])
def test_stages_that_read_results_load_without_torch(stage):
    code = f"import sys, pkgutil, importlib, heatdrift.{stage} as s\n"
    code += "for m in pkgutil.walk_packages(s.__path__, s.__name__ + '.'): importlib.import_module(m.name)\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
