import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import stubs
import torch
from PIL import Image
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError, HeatdriftError, ModelError, StudyError, UnknownNameError
from heatdrift.store.folder import read_arrays
from heatdrift.store.ingest import open_current
from heatdrift.store.read import read_view
from heatdrift.train.external import measure, storable
from heatdrift.train.series import checkpoints, epochs_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base, a folder of its epochs with growing changes, pictures without labels, and a labelled set."""
    folder = tmp_path_factory.mktemp("foreign")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=4, per_class=10, size=32, seed=0)
    (folder / "photos" / "deep").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for i in range(12):
        picture = Image.fromarray(generator.integers(0, 255, (32, 40, 3), dtype=np.uint8))
        picture.save(folder / "photos" / ("deep" if i % 2 else ".") / f"{i}.png")
    (folder / "photos" / "readme.txt").write_text("no picture")
    (folder / "epochs").mkdir()
    for epoch in (1, 2, 10):
        torch.save({"epoch": epoch, "state_dict": changed(0.01 * epoch)}, folder / "epochs" / f"epoch_{epoch}.pt")
    torch.save({"state_dict": changed(0.1)}, folder / "epochs" / "epoch_latest.pt")
    return folder


def changed(size):
    state = {f"module.{name}": tensor.clone() for name, tensor in stubs.tiny_clip().state_dict().items()}
    for name in (n for n in state if n.startswith("module.visual.transformer") and state[n].ndim == 2):
        state[name].add_(size * torch.randn(state[name].shape, generator=torch.Generator().manual_seed(len(name))))
    return state


def measured(place, adapted="epochs", **options):
    return measure("tiny.safetensors", adapted, **{"images": "photos", "folder": place, **options})


def test_drift_grows_along_a_folder_of_epochs_without_labels(place):
    found = measured(place).result
    assert [row.epoch for row in found.checkpoints] == [0, 1, 2, 10]
    assert found.n_images == 12
    for probe in ("weight_drift", "embedding_drift", "map_js"):
        values = [row.means[probe] for row in found.checkpoints]
        assert values[0] == pytest.approx(0, abs=1e-9)
        assert values == sorted(values)
        assert values[1] > 0
    assert "epoch_latest.pt" in " ".join(found.notes)
    assert len(found.layers) == stubs.TINY_BLOCKS
    assert found.transfer is None


def test_every_probe_is_measured_per_block_and_head(place):
    last = measured(place).outcome.record.epochs[-1]
    assert {"entropy", "erf95", "gini", "map_js"} <= last.heads.keys()
    assert all(len(rows) == stubs.TINY_BLOCKS and len(rows[0]) == stubs.TINY_HEADS for rows in last.heads.values())
    assert {"cka", "head_diversity", "patch_entropy"} <= last.layers.keys()
    assert {"rollout_entropy", "proj_drift"} <= last.means.keys()


def test_identical_weights_are_reported_with_a_drift_of_0(place):
    found = measured(place, "tiny.safetensors", transfer="colours.parquet").result
    last = found.checkpoints[-1]
    assert last.identical
    assert last.means["weight_drift"] == last.means["embedding_drift"] == 0
    assert found.transfer.retention_pct == 100
    assert (found.transfer.lost, found.transfer.gained) == (0, 0)
    assert "to the last bit" in found.sentences[0]


def test_zero_shot_is_what_the_hits_say_class_by_class(place):
    found = measured(place, "epochs/epoch_10.pt", transfer="colours.parquet")
    change, hits = found.result.transfer, found.outcome.hits
    assert change.name == "colours"
    assert change.base_pct == pytest.approx(100 * hits["colours/base"].mean())
    assert change.adapted_pct == pytest.approx(100 * hits["colours/adapted"].mean())
    label = hits["colours/class"]
    for position, row in enumerate(change.classes):
        assert row.adapted_pct == pytest.approx(100 * hits["colours/adapted"][label == position].mean())
    assert change.lost - change.gained == pytest.approx(40 * (change.base_pct - change.adapted_pct) / 100)


def test_the_same_models_give_the_same_cell_and_others_another(place):
    one, again = (measured(place, "epochs/epoch_1.pt").outcome.record for _ in range(2))
    assert one.cell_id == again.cell_id
    assert one.epochs == again.epochs
    assert measured(place, "epochs/epoch_2.pt").outcome.record.cell_id != one.cell_id


def test_few_images_are_said_and_too_few_refused(place, tmp_path):
    assert "12 images are few" in " ".join(measured(place).result.notes)
    few = tmp_path / "few"
    few.mkdir()
    Image.new("RGB", (30, 30)).save(few / "a.png")
    with pytest.raises(DataError, match="has 1 pictures, and probes need 8"):
        measured(place, images=str(few))


def test_pictures_that_do_not_decode_are_named_or_left_out(place, tmp_path):
    for path in (place / "photos").rglob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "3.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"3\.png does not decode"):
        measured(place, images=str(tmp_path))
    found = measured(place, images=str(tmp_path), skip_unreadable=True)
    assert found.result.n_images == 11
    assert found.outcome.record.provenance.sources["probe"].skipped == ("3.png",)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"images": None}, DataError),
        ({"images": "nowhere"}, DataError),
        ({"adapted": "nowhere"}, ModelError),
        ({"adapted": "photos"}, ModelError),
        ({"labels": {"lrr": "1"}}, UnknownNameError),
        ({"labels": {"lr": "fast"}}, StudyError),
        ({"labels": {"lr": "0"}}, StudyError),
        ({"labels": {"seed": "1.5"}}, StudyError),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_hint(place, options, error):
    with pytest.raises(error) as caught:
        measured(place, **options)
    assert isinstance(caught.value, HeatdriftError)
    assert caught.value.hint


def test_epochs_are_as_stated_else_as_named_else_in_order(tmp_path):
    paths = [tmp_path / name for name in ("a.pt", "b.pt")]
    assert epochs_of(paths, [3, 7]) == [3, 7]
    assert epochs_of(paths, [3, None]) == [1, 2]
    assert epochs_of([tmp_path / "e_5.pt", tmp_path / "e_20.pt"], [None, None]) == [5, 20]
    assert epochs_of([tmp_path / "e_20.pt", tmp_path / "e_5.pt"], [None, None]) == [1, 2]
    assert epochs_of([tmp_path / "vit-b32.pt"], [None]) == [1]


def test_a_folder_of_epochs_is_taken_in_the_order_of_numbers(place):
    found, _ = checkpoints([place / "epochs"])
    assert [path.name for path in found] == ["epoch_1.pt", "epoch_2.pt", "epoch_10.pt"]


def run(*arguments):
    return CliRunner().invoke(app, ["measure", *map(str, arguments)])


def test_the_command_stores_a_run_that_stats_can_read(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    store = tmp_path / "runs" / "heatdrift.duckdb"
    done = run(
        *("--base", "tiny.safetensors", "--adapted", "epochs", "--images", "photos", "--transfer", "colours.parquet"),
        *("--label", "lr=1e-5", "--label", "seed=3", "--label", "dataset=mine", "--store", store, "--format", "json"),
        *("--html", tmp_path / "page.html"),
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    with open_current(store) as connection:
        row = read_view(connection, "runs", study="external").to_dicts()[0]
    assert (row["method"], row["dataset"], row["lr"], row["seed"]) == ("external", "mine", 1e-5, 3)
    assert row["retention_pct"] == pytest.approx(found["transfer"]["retention_pct"])
    assert row["weight_drift"] == found["checkpoints"][-1]["means"]["weight_drift"]
    assert read_arrays(store.parent / found["stored"], "hits").keys() >= {"colours/base", "colours/adapted"}
    assert "epoch_10.pt against tiny" in (tmp_path / "page.html").read_text()


def test_without_a_learning_rate_nothing_is_stored_and_it_is_said(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    store = tmp_path / "heatdrift.duckdb"
    done = run("--base", "tiny.safetensors", "--adapted", "epochs/epoch_1.pt", "--images", "photos", "--store", store)
    assert done.exit_code == 0, done.output
    assert "not stored" in done.stderr
    assert not store.exists()


def test_a_result_is_storable_only_with_its_learning_rate(place):
    result = measured(place, "epochs/epoch_1.pt").result
    assert not storable(result)
    assert storable(msgspec.structs.replace(result, labels={"lr": "1e-5"}))


def test_the_command_estimates_retention_from_the_finished_runs_of_its_store(place, tmp_path, monkeypatch):
    shutil.copytree(Path(__file__).resolve().parents[3] / "runs" / "mini", tmp_path / "mini")
    monkeypatch.chdir(place)
    given = ["--base", "tiny.safetensors", "--images", "photos", "--format", "json"]
    given += ["--store", str(tmp_path / "heatdrift.duckdb")]
    found = CliRunner().invoke(app, ["measure", "--adapted", "epochs/epoch_10.pt", *given])
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)["estimate"]
    assert (said["n_groups"], said["refused"] is None) == (4, said["retention_pct"] is not None)
    same = CliRunner().invoke(app, ["measure", "--adapted", "tiny.safetensors", *given])
    assert json.loads(same.stdout)["estimate"] is None
