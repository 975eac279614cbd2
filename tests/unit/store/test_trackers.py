"""What W&B, trackio, TensorBoard and Lightning wrote themselves (tests/recorded/record.py) becomes the same runs."""

import gzip
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heatdrift.cli.import_formats import ImportFormat, format_of
from heatdrift.cli.main import app
from heatdrift.errors import DataError
from heatdrift.store.connect import open_store
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.protobuf_wire import fields, single
from heatdrift.store.importers.tensorboard import read_tensorboard
from heatdrift.store.importers.tracked import Tracked, by_step, import_tracked
from heatdrift.store.importers.trackio import read_trackio
from heatdrift.store.importers.wandb import read_wandb
from heatdrift.store.ingest import ingest

RECORDED = Path(__file__).parents[2] / "recorded"
MAP = ("--map", "val_acc_pct=val/acc*100", "--map", "test_acc_pct=test/acc*100")
READERS = {"wandb": read_wandb, "tensorboard": read_tensorboard, "trackio": read_trackio}


@pytest.fixture
def recorded(tmp_path):
    """Return the path of what a tracker wrote."""

    def at(name):
        if name != "trackio":
            return RECORDED / name
        (tmp_path / "clip.db").write_bytes(gzip.decompress((RECORDED / "trackio.db.gz").read_bytes()))
        return tmp_path / "clip.db"

    return at


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.fixture
def bring(mine):
    """Import runs of a tracker that are given as such; returns the report and a way to ask the store."""

    def run(*runs, pairs=("val_acc_pct=val/acc*100",), **options):
        columns = column_map(pairs)
        report = import_tracked(
            runs, columns, source="there", origin="wandb", store_folder=mine.parent, study="s", **options
        )
        return report, lambda sql: ask(mine, sql)

    return run


def ask(store, sql):
    ingest(store)
    with open_store(store) as connection:
        return connection.execute(sql).fetchall()


def tracked(seed=0, steps=(), final=None, **settings):
    own = {"model": "m", "dataset": "cars", "method": "full_ft", "learning_rate": 1e-5, "seed": seed}
    return Tracked(label=f"run {seed}", settings=own | settings, steps=by_step(steps), final=final or {})


@pytest.mark.parametrize("name", READERS)
def test_every_tracker_gives_the_same_runs_and_twice_is_once(recorded, mine, name):
    path = recorded(name)
    assert format_of(str(path)) is ImportFormat(name)
    command = ["import", str(path), "--study", "s", "--store", str(mine), *MAP]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "2 imported" in result.output
    assert "epochs are counted from 0" in result.output
    assert ask(mine, "select backbone, dataset, method, lr, seed, origin, status from runs order by seed") == [
        ("ViT-B-32/openai", "cars", "full_ft", 1e-5, seed, name, "done") for seed in (0, 1)
    ]
    epochs = ask(
        mine,
        "select r.seed, e.epoch, e.train_loss, round(e.val_acc_pct, 9) from epochs e join runs r using (cell_id) "
        "order by 1, 2",
    )
    assert [row[:2] for row in epochs] == [(seed, epoch) for seed in (0, 1) for epoch in (1, 2, 3)]
    assert [row[2] for row in epochs[:3]] == pytest.approx([1, 1 / 2, 1 / 3], abs=1e-7)
    assert [row[3] for row in epochs] == [50, 60, 70, 51, 61, 71]
    results = ask(mine, "select selected_epoch, test_acc_pct from runs order by seed")
    assert results == [(3, pytest.approx(66)), (3, pytest.approx(67))]
    again = CliRunner().invoke(app, command)
    assert "0 imported, 2 there already" in again.output


def test_the_schedule_of_the_learning_rate_is_not_its_level(recorded):
    columns = column_map(["val_acc_pct=val/acc*100", "test_acc_pct=test/acc*100"])
    report = import_tracked(
        read_wandb(recorded("wandb")), columns, source="wandb", origin="wandb", store_folder=Path("nowhere"),
        study="s", dry_run=True,
    )  # fmt: skip
    assert report.audit.keys["lr"] == ("1e-05",)
    assert any("logged step by step" in note and "lr" in note for note in report.audit.notes)


def test_what_lightning_wrote_is_one_run_of_three_epochs(mine):
    given = ("backbone=m", "dataset=cars", "method=full_ft", "lr=0.05", "seed=0")
    command = ["import", str(RECORDED / "lightning_metrics.csv"), "--study", "s", "--store", str(mine)]
    command += ["--map", "val_acc_pct=val_acc*100", "--map", "test_acc_pct=test_acc*100"]
    result = CliRunner().invoke(app, [*command, *(word for pair in given for word in ("--set", pair))])
    assert result.exit_code == 0, result.output
    assert "1 imported" in result.output
    assert ask(mine, "select epoch, round(train_loss, 4), round(val_acc_pct, 2) from epochs order by 1") == [
        (1, 0.7674, 65.63),
        (2, 0.5463, 85.42),
        (3, 0.4328, 95.83),
    ]
    assert ask(mine, "select selected_epoch, round(test_acc_pct, 2) from runs") == [(3, 95.83)]


def test_a_run_that_was_killed_is_left_out_and_said(recorded, tmp_path, mine):
    shutil.copytree(recorded("wandb"), tmp_path / "wandb")
    (file,) = (tmp_path / "wandb").rglob("run-full1.wandb")
    file.write_bytes(file.read_bytes()[:-60])
    result = CliRunner().invoke(app, ["import", str(tmp_path / "wandb"), "--study", "s", "--store", str(mine), *MAP])
    assert "run full-1: status 'running' is not the end of a run" in result.output
    assert ask(mine, "select seed from runs") == [(0,)]


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("wandb", "run-x.wandb", b"not a log"),
        ("tensorboard", "events.out.tfevents.1.host", b"\xff" * 40),
        ("tensorboard", "events.out.tfevents.1.host", b"\x09" + b"\0" * 11 + b"\xff" * 20),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path, mine, name, file, text):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / file).write_bytes(text)
    with pytest.raises(DataError, match=f"{file} is no"):
        list(READERS[name](tmp_path / "logs"))


def test_a_damaged_database_is_one_sentence(recorded):
    path = recorded("trackio")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="as a trackio database"):
        list(read_trackio(path))


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_no_cut_of_a_log_is_a_traceback(recorded, tmp_path, cut):
    (file,) = recorded("wandb").rglob("run-full0.wandb")
    data = file.read_bytes()
    (tmp_path / "run-full0.wandb").write_bytes(data[: 7 + len(data) * cut // 40])
    (run,) = read_wandb(tmp_path / "run-full0.wandb")
    assert run.settings["status"] == "running"


def test_a_log_longer_than_a_block_is_read_across_it(tmp_path):
    def item(name, text):
        inner = b"\x0a" + bytes([len(name)]) + name + b"\x82\x01" + varint(len(text)) + text
        return b"\x0a" + varint(len(inner)) + inner

    def varint(number):
        found = b""
        while number > 0x7F:
            found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
        return found + bytes([number])

    config = item(b"note", b'"' + b"x" * 40_000 + b'"') + item(b"seed", b"3")
    record = b"\x2a" + varint(len(config)) + config
    first = 32768 - 7 - 7
    log = b":W&B\xe1\xbe\x00"
    for kind, piece in ((2, record[:first]), (4, record[first:])):
        log += b"\0\0\0\0" + len(piece).to_bytes(2, "little") + bytes([kind]) + piece
    (tmp_path / "run-a.wandb").write_bytes(log)
    (run,) = read_wandb(tmp_path)
    assert run.settings["seed"] == 3
    assert len(run.settings["note"]) == 40_000


def test_keras_folders_are_one_run(tmp_path):
    for name in ("train", "validation"):
        (tmp_path / "logs" / "a" / name).mkdir(parents=True)
        shutil.copy(RECORDED / "tensorboard/full_0/events.out.tfevents.0.host", tmp_path / "logs" / "a" / name)
    shutil.copy(RECORDED / "tensorboard/full_0/hparams/events.out.tfevents.1.host", tmp_path / "logs" / "a")
    (run,) = read_tensorboard(tmp_path / "logs")
    assert run.label == "run a"
    assert {"train/val/acc", "validation/val/acc"} <= {name for values in run.steps.values() for name in values}
    assert run.settings["seed"] == 0


def test_an_epoch_that_the_run_logged_goes_before_the_step(bring):
    steps = [(10, {"epoch": 1, "loss": 0.5}), (20, {"epoch": 1, "val/acc": 0.6}), (40, {"epoch": 2, "val/acc": 0.7})]
    report, found = bring(tracked(steps=steps))
    assert report.added == 1
    assert found("select epoch, train_loss, val_acc_pct from epochs order by 1") == [(1, 0.5, 60.0), (2, None, 70.0)]


def test_a_learning_rate_that_changes_and_is_no_setting_is_missing(bring):
    run = tracked(steps=[(1, {"lr": 1e-5, "val/acc": 0.5}), (2, {"lr": 5e-6, "val/acc": 0.6})])
    without = {name: value for name, value in run.settings.items() if name != "learning_rate"}
    with pytest.raises(DataError, match="no value for lr"):
        bring(Tracked(label="run", settings=without, steps=run.steps))


def test_steps_that_count_batches_are_said(bring):
    report, _ = bring(tracked(steps=[(100, {"val/acc": 0.5}), (200, {"val/acc": 0.6})]))
    assert any("they seem to count batches" in note for note in report.audit.notes)


def test_nothing_there_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no run"):
        import_tracked([], column_map(), source="x", origin="wandb", store_folder=tmp_path, study="s")


def test_single_precision_is_read_as_it_was_written():
    assert single(b"\x9a\x99\x19\x3f") == 0.6
    assert single(b"\x00\x00\x80\x7f") == float("inf")


@pytest.mark.parametrize("message", [b"\x0a\x05ab", b"\x0b", b"\x80", b"\x08" + b"\xff" * 12])
def test_bytes_that_are_no_message_are_refused(message):
    with pytest.raises(ValueError, match=r"message|unknown type"):
        list(fields(message))
