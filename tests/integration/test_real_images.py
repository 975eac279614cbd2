"""One short cell of each method on real EuroSAT and Pets images with the given small CLIP (founders' machines only)."""

import json
from importlib import resources

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

pytestmark = pytest.mark.slow

# the built-in study mini, one epoch of one cell per group, and fewer images of CIFAR-100
SHORTER = {
    "epochs = 6": "epochs = 1",
    "lr = [1e-4, 3e-4, 1e-3, 3e-3]": "lr = [3e-4]",
    "seed = [7, 11, 19, 42, 123]": "seed = [1]",
    "track = 500": "track = 200\nn_images = 1000",
}


def call(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_real_images_and_weights_train_and_are_measured(shared, tmp_path):
    study, store = tmp_path / "real.toml", tmp_path / "heatdrift.duckdb"
    text = (resources.files("heatdrift.plan") / "studies" / "mini.toml").read_text()
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    study.write_text(text)
    call("train", "--all", "--study", study, "--data-dir", shared, "--store", store)
    runs = json.loads(call("sql", "select * from runs order by dataset, method", "--store", store, "--format", "json"))
    assert [(r["dataset"], r["method"], r["status"]) for r in runs] == [
        (d, m, "done") for d in ("eurosat", "pets") for m in ("full_ft", "lora_r8")
    ]
    for run in runs:
        assert run["n_transfer"] == 1000
        # the given model's README states 41.9 % on all 10,000; a balanced 1,000 is within four standard errors
        assert run["zero_shot_base_pct"] == pytest.approx(41.9, abs=6.3)
        if run["method"] == "lora_r8":
            assert run["adapter_live_max_diff"] > 0
            assert run["adapter_off_max_diff"] <= 1e-5
