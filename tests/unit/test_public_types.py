"""What a type checker sees of the public names: their real types, and mistakes as mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
import duckdb
import heatdrift
import polars as pl

runs = heatdrift.read_runs("mini", seed=[7])
store = heatdrift.Store.shipped()
paired = heatdrift.paired(runs, metrics=["retention_pct"], equivalence=(-2.0, 2.0))
low: float = paired.rows[0].ci_low
frame: pl.DataFrame = paired.to_frame()
text: str = heatdrift.interaction(duckdb.table("runs"), metric="cka", lr_as="linear").findings[0]
blocks = heatdrift.layers(runs.lazy(), store.view("layers", study="mini")).rows[0].layer
heatdrift.fit_model({"y": [1.0, 2.0], "g": ["a", "b"]}, "y ~ 1 + (1 | g)").contrasts[0].estimate
heatdrift.train_cell(heatdrift.load_study("demo"), dataset="beetles", method="lora_r8", lr=1e-3, seed=7).record.status
version: str = heatdrift.__version__
"""
BAD = {
    "heatdrift.pared": "has no attribute",
    "heatdrift.interaction(runs)": 'Missing named argument "metric"',
    "heatdrift.dose(runs, metrics=3)": "incompatible type",
    "heatdrift.paired(3)": "incompatible type",
    "paired.findngs": "has no attribute",
}


@pytest.mark.slow
def test_a_type_checker_sees_real_types_and_finds_mistakes(tmp_path):
    lines = [*GOOD.splitlines(), *BAD]
    (tmp_path / "script.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = [line for line in done.stdout.splitlines() if ": error:" in line]
    first = len(GOOD.splitlines()) + 1
    assert len(found) == len(BAD), done.stdout
    for number, (line, words) in enumerate(zip(found, BAD.values(), strict=True), first):
        assert f"script.py:{number}: error:" in line
        assert words in line
