"""`heatdrift fetch` as a user runs it: local files, the hub's offline cache, a hub on localhost, and nothing at all."""

import json
import os
import subprocess
import sys

import pytest
import torch
from hub_stand_ins import COMMIT, fill_cache, hub_files, hub_shard, web_server
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError
from heatdrift.plan.study import load_study
from heatdrift.records import Cell, EpochRecord, RunRecord, TransferRecord
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest
from heatdrift.train.resources import Resources

REPO = "someone/shapes"
STUDY = f"""
name = "hubbed"
protocol = "leakfree"
backbone = {{ name = "lab" }}

[train]
epochs = 1
batch_size = 4
data_seed = 1

[datasets.shapes]
train = "hf:{REPO}/train"
test = "hf:{REPO}/test"
sizes = {{ train = 1, val = 1, probe = 1 }}

[transfer.terrain]
test = "lab:terrain/test"

[grid]
dataset = ["shapes"]
method = ["full_ft"]
lr = [1e-4]
seed = [1]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder with the study; commands run there."""
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def repo(tmp_path):
    for split, labels in (("train", [0, 0, 0, 1, 1, 1]), ("test", [0, 1])):
        path = tmp_path / "repo" / f"data/{split}-00000-of-00001.parquet"
        hub_shard(path, labels, names=("round", "square"), first=len(labels))
    (tmp_path / "repo" / "README.md").write_text("---\nlicense: mit\n---\n")
    return tmp_path / "repo"


def fetch(place, **environment):
    """Run the command in a process of its own, so that huggingface_hub reads the environment as it does for users."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HEATDRIFT_"))}
    environment = kept | {"HF_HUB_CACHE": str(place / "cache"), "HF_HUB_DISABLE_XET": "1", **environment}
    command = [sys.executable, "-m", "heatdrift", "fetch", "--study", "study.toml", "--format", "json"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, {row["what"]: row for row in json.loads(done.stdout)}, " ".join(done.stderr.split())


def test_from_the_offline_cache(place, repo):
    fill_cache(place / "cache", REPO, hub_files(repo))
    code, rows, said = fetch(place, HF_HUB_OFFLINE="1")
    assert code == 0
    assert {name: row["state"] for name, row in rows.items()} == {
        "weights lab": "ready",
        "shapes/train": "listed",
        "shapes/test": "listed",
        "terrain": "drawn",
    }
    assert (rows["shapes/train"]["n_images"], rows["shapes/train"]["revision"]) == (6, COMMIT)
    assert "heatdrift train --all --study study.toml" in said
    code, rows, _ = fetch(place, HF_HUB_OFFLINE="1")
    assert (code, rows["shapes/train"]["state"]) == (0, "verified")
    assert len(list((place / "manifests").iterdir())) == 2


def test_offline_and_nothing_there_says_what_and_where(place):
    code, rows, said = fetch(place, HF_HUB_OFFLINE="1")
    assert code == 2
    assert [name for name, row in rows.items() if row["state"] == "not ready"] == ["shapes/train", "shapes/test"]
    assert f"hf download {REPO} --repo-type dataset" in said
    assert f"hf/{REPO}" in said
    assert "error: 2 of 4 things that study hubbed needs are not ready: shapes/train, shapes/test" in said
    assert not (place / "manifests").exists()


def test_from_a_hub_over_http(place, repo):
    with web_server(hub_files(repo), repo=REPO) as (url, requests):
        code, rows, said = fetch(place, HF_ENDPOINT=url, NO_PROXY="127.0.0.1")
        assert code == 0, said
        assert rows["shapes/test"]["n_images"] == 2
        asked = len(requests)
        assert fetch(place, HF_ENDPOINT=url, NO_PROXY="127.0.0.1")[0] == 0
        assert len(requests) == asked


def test_a_study_of_local_files_is_verified_and_listed(tiny_inputs, place):
    for path in tiny_inputs.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    result = CliRunner().invoke(app, ["fetch", "--study", "study.toml", "--format", "json"], catch_exceptions=False)
    rows = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [row["n_images"] for row in rows] == [None, 48, 18, 64, 24, 30]
    assert len(list((place / "manifests").glob("parquet-*.json"))) == 5
    for row in rows[-1:]:
        said = f"{row['what']}: guessing among {row['n_classes']} classes scores {100 / row['n_classes']:.1f} %; with"
        assert said in " ".join(result.stderr.split())


def test_a_changed_file_stops_a_cell_before_it_trains(tiny_inputs, place):
    for path in tiny_inputs.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    CliRunner().invoke(app, ["fetch", "--study", "study.toml"], catch_exceptions=False)
    (place / "hues_test.parquet").write_bytes((place / "stripes_test.parquet").read_bytes())
    resources = Resources.of(load_study("study.toml"), place, torch.device("cpu"))
    with pytest.raises(DataError, match=r"file hues_test\.parquet changed"):
        resources.target("hues")


def test_plan_works_before_fetch_and_does_not_change_after_it(place, repo, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def cells():
        result = CliRunner().invoke(app, ["plan", "--study", "study.toml", "--format", "json"], catch_exceptions=False)
        return [row["cell_id"] for row in json.loads(result.stdout)]

    before = cells()
    fill_cache(place / "cache", REPO, hub_files(repo))
    assert CliRunner().invoke(app, ["fetch", "--study", "study.toml"], catch_exceptions=False).exit_code == 0
    assert cells() == before


def test_a_base_that_a_run_found_near_chance_is_said_again(place, repo, monkeypatch, make_lab_run):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fill_cache(place / "cache", REPO, hub_files(repo))
    make_lab_run(place / "runs", base_pct=14.0, n_classes=10)
    result = CliRunner().invoke(app, ["fetch", "--study", "study.toml"], catch_exceptions=False)
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "caution: the zero-shot base of lab on terrain is near chance: 14.0 %" in said
    assert "guessing among 10 classes" in said


@pytest.fixture
def make_lab_run():
    """Write a finished run of the backbone lab into a store, with its zero-shot base."""

    def make(folder, *, base_pct, n_classes):
        cell = Cell(
            backbone="lab", backbone_sha256=None, dataset="shapes", data_sha256=None, protocol="leakfree",
            method="full_ft", method_spec=None, lr=1e-4, seed=1, recipe=None,
        )  # fmt: skip
        evaluated = TransferRecord(
            transfer_set="terrain", n_images=300, base_pct=base_pct, adapted_pct=11.0, n_classes=n_classes
        )
        write_record(
            RunRecord(
                study="earlier", cell_id=cell.cell_id, status="done", cell=cell, selected_epoch=1,
                epochs=(EpochRecord(epoch=1, val_acc_pct=50.0),), transfer=(evaluated,),
            ),
            folder,
        )  # fmt: skip
        ingest(folder / "heatdrift.duckdb")

    return make
