"""What a row means may depend on the others: epochs from 0, fractions, learning rates of single precision."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.lr_levels import lr_levels
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.reference import import_reference
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql

EPOCHS = """dataset,method,lr,seed,epoch,train_loss,val_acc_pct,test_acc_pct
cars,full_ft,1e-5,0,0,1.2,80,79
cars,full_ft,0.00001,0,1,0.8,70,79
cars,full_ft,1e-5,0,2,0.5,60,79
"""
FINAL = (
    "dataset,method,lr,seed,val_acc_pct,test_acc_pct\ncars,full_ft,1e-5,0,0.62,0.60\ncars,full_ft,1e-5,1,0.64,0.61\n"
)


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.fixture
def bring(tmp_path, mine):
    """Import the text of a table and ingest it."""

    def run(text, *pairs, **choices):
        (tmp_path / "t.csv").write_text(text)
        columns = column_map(pairs, ["backbone=m"])
        report = import_table(
            tmp_path / "t.csv", columns, store_folder=mine.parent, study="s", choices=Choices(**choices)
        )
        ingest(mine)
        return report

    return run


def test_an_epoch_0_with_a_training_loss_is_the_first_trained_one_and_said(bring, mine):
    report = bring(EPOCHS)
    assert (report.added, report.problems) == (1, ())
    assert "epochs are counted from 0" in report.audit.notes[0]
    assert "row 1" in report.audit.notes[0]
    assert "--epochs-from 1" in report.audit.notes[0]
    assert run_sql(mine, "SELECT selected_epoch, val_acc_pct, train_loss FROM runs").rows() == [(1, 80.0, 1.2)]
    assert run_sql(mine, "SELECT epoch FROM epochs ORDER BY 1")["epoch"].to_list() == [1, 2, 3]
    assert bring(EPOCHS).unchanged == 1


def test_the_user_may_say_that_epoch_0_is_the_pretrained_model(bring, mine):
    assert "as --epochs-from 1 says" in bring(EPOCHS, epochs_from=1).audit.notes[0]
    assert run_sql(mine, "SELECT selected_epoch, val_acc_pct FROM runs").rows() == [(1, 70.0)]


def test_an_epoch_0_without_a_training_loss_is_the_pretrained_model(bring, mine):
    report = bring(EPOCHS.replace("0,0,1.2,80", "0,0,,80"))
    assert report.audit.notes == ("epoch 0 (row 1) is the pretrained model: it has no training loss",)
    assert run_sql(mine, "SELECT selected_epoch FROM runs")["selected_epoch"].to_list() == [1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (EPOCHS.replace("train_loss", "loss_of_training"), "an epoch 0 with a validation accuracy"),
        (EPOCHS + "cars,lora_r8,1e-5,0,0,,80,79\n", "it cannot be both"),
        ("dataset,method,lr,seed,val_acc_pct,selected_epoch\ncars,full_ft,1e-5,0,62,0\n", "a selected epoch 0"),
    ],
)
def test_where_nothing_tells_it_is_a_question(bring, mine, text, says):
    with pytest.raises(DataError, match=says) as caught:
        bring(text)
    assert "--epochs-from 0 if" in caught.value.hint
    assert not list(mine.parent.rglob("record.json"))
    bring(text, epochs_from=0)
    assert run_sql(mine, "SELECT min(selected_epoch) n FROM runs")["n"][0] == 1


def test_bulk_epochs_from_0_are_refused(mine, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    run = {"study": ["s"], "cell_id": ["a"], "backbone": ["m"], "dataset": ["d"], "method": ["x"], "lr": [0.1]}
    pl.DataFrame(run | {"seed": [1], "selected_epoch": [1]}).write_parquet(folder / "runs.parquet")
    epochs = {"study": ["s"] * 2, "cell_id": ["a"] * 2, "epoch": [0, 1], "train_loss": [1.0, 0.5]}
    pl.DataFrame(epochs).write_parquet(folder / "epochs.parquet")
    with pytest.raises(DataError, match="an epoch 0 with a training loss"):
        import_heatdrift(folder, mine.parent)


def test_fractions_under_a_percent_column_are_a_question(bring, mine):
    with pytest.raises(DataError, match=r"no value of test_acc_pct \(0.6 to 0.61\) and val_acc_pct") as caught:
        bring(FINAL)
    assert '--map "test_acc_pct=test_acc_pct*100"' in caught.value.hint
    assert "--percent as-is" in caught.value.hint
    assert not list(mine.parent.rglob("record.json"))
    bring(FINAL, "test_acc_pct=test_acc_pct*100", "val_acc_pct=val_acc_pct*100")
    assert run_sql(mine, "SELECT val_acc_pct, test_acc_pct FROM runs ORDER BY seed").rows() == [(62, 60), (64, 61)]


def test_less_than_one_percent_can_be_meant(bring, mine):
    report = bring(FINAL, percent="as-is")
    assert any("taken as percent" in note for note in report.audit.notes)
    assert run_sql(mine, "SELECT test_acc_pct FROM runs ORDER BY seed")["test_acc_pct"].to_list() == [0.6, 0.61]


def test_a_fraction_among_percentages_is_a_question_and_said_where_it_is_answered(bring):
    mixed = FINAL.replace("0.62,0.60", "62,60")
    with pytest.raises(DataError, match=r"test_acc_pct: 1 value of 2 at most 1 \(row 2\), .*; val_acc_pct: 1 value"):
        bring(mixed)
    report = bring(mixed, percent="as-is")
    assert [note.split(":")[0] for note in report.audit.notes] == ["test_acc_pct", "val_acc_pct"]
    assert all("1 value of 2 at most 1 (row 2)" in note for note in report.audit.notes)


@pytest.mark.parametrize("value", ["0", "0.0", "nan"])
def test_zero_is_zero_in_both(bring, value):
    assert bring(FINAL.replace("0.62", value).replace("0.64", value).replace("0.6", "6")).added == 2


def test_a_constant_that_is_a_fraction_is_a_question_too(tmp_path, mine):
    (tmp_path / "t.csv").write_text("dataset,method,lr,seed,val_acc_pct\ncars,full_ft,1e-5,0,62\n")
    columns = column_map([], ["backbone=m", "zero_shot_base_pct=0.6", "transfer_set=t", "n_transfer=10"])
    with pytest.raises(DataError, match="zero_shot_base_pct") as caught:
        import_table(tmp_path / "t.csv", columns, store_folder=mine.parent, study="s")
    assert "--set zero_shot_base_pct=60" in caught.value.hint


def test_fractions_in_bulk_are_a_question(mine, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    rows = {"study": ["s"], "cell_id": ["a"], "backbone": ["m"], "dataset": ["d"], "method": ["x"], "lr": [0.1]}
    pl.DataFrame(rows | {"seed": [1], "test_acc_pct": [0.6]}).write_parquet(folder / "runs.parquet")
    with pytest.raises(DataError, match=r"test_acc_pct \(0.6 to 0.6\)") as caught:
        import_heatdrift(folder, mine.parent)
    assert "--percent as-is" in caught.value.hint
    assert not list(mine.parent.rglob("*.parquet"))
    assert import_heatdrift(folder, mine.parent, percent="as-is").added == 1


SINGLE = [1e-05, 9.999999747378752e-06, 1.0000000000000001e-05, 1e-4, 9.999999747378752e-05, 0.00010000000000000002]


def test_rates_of_single_precision_are_the_level_that_was_meant(bring, mine):
    rows = [f"cars,full_ft,{lr!r},{seed},60" for seed, lr in enumerate(SINGLE)]
    report = bring("\n".join(["dataset,method,lr,seed,val_acc_pct", *rows]) + "\n")
    assert run_sql(mine, "SELECT DISTINCT lr FROM runs ORDER BY 1")["lr"].to_list() == [1e-5, 1e-4]
    (note,) = report.audit.notes
    assert "9.999999747378752e-06 (1 rows)" in note
    assert "as 1e-05" in note
    assert report.audit.keys["lr"] == ("1e-05", "0.0001")


@pytest.mark.parametrize("lr", [1e-5, 3e-6, 5e-5, 0.1, 1e-3, 2.5e-4])
def test_a_rate_that_was_only_kept_in_single_precision_is_what_was_written(lr):
    single = float(np.float32(lr))
    assert lr_levels([single]) == ({} if single == lr else {single: lr})
    assert lr_levels([float(f"{single:.8g}")]).get(float(f"{single:.8g}"), lr) == lr


@given(st.lists(st.floats(1e-9, 1, allow_subnormal=False), min_size=1, max_size=20))
def test_levels_are_near_and_apart(values):
    levels = lr_levels(values)
    final = sorted({levels.get(value, value) for value in values})
    assert all(abs(level - value) <= 2e-6 * value for value, level in levels.items())
    assert all(b - a > 1e-8 * a for a, b in pairwise(final))


def test_rates_that_differ_stay_apart():
    assert lr_levels([0.0, 1e-5, 1.00001e-5, 1.2345678e-5]) == {}


def test_bulk_rates_of_single_precision_are_one_level_too(mine, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    rows = {"study": ["s"] * 2, "cell_id": ["a", "b"], "backbone": ["m"] * 2, "dataset": ["d"] * 2, "method": ["x"] * 2}
    frame = pl.DataFrame(rows | {"seed": [1, 2], "lr": pl.Series([1e-5, 1e-5], dtype=pl.Float32)})
    frame.write_parquet(folder / "runs.parquet")
    report = import_heatdrift(folder, mine.parent)
    ingest(mine)
    assert run_sql(mine, "SELECT DISTINCT lr FROM runs")["lr"].to_list() == [1e-5]
    assert "one level" in report.notes[0]


def test_reference_runs_of_single_precision_are_one_level_too(mine, tmp_path, shared):
    file = next(iter(sorted((shared / "records" / "vitb16").rglob("*.json"))))
    run = json.loads(file.read_text())
    run["config"]["lr"] = float(np.float32(run["config"]["lr"]))
    (tmp_path / "run.json").write_text(json.dumps(run))
    report = import_reference(tmp_path / "run.json", mine.parent, "s")
    assert report.added == 1
    assert import_reference(file, mine.parent, "s").unchanged == 1


def test_a_test_accuracy_alone_makes_a_run(bring, mine):
    report = bring("dataset,method,lr,seed,test_acc_pct\ncars,full_ft,1e-5,0,60\ncars,full_ft,1e-5,1,\n")
    assert report.added == 1
    assert "row 2: no result: map at least one of test_acc_pct" in report.problems[0].reason
    query = "SELECT status, test_acc_pct, val_acc_pct FROM runs"
    assert run_sql(mine, query).rows() == [("done", 60.0, None)]


@pytest.mark.parametrize(("columns", "values", "decay"), [("", "", None), (",weight_decay", ",0.1", 0.1)])
def test_what_a_table_does_not_state_of_a_recipe_is_not_shown(bring, mine, columns, values, decay):
    bring(
        f"dataset,method,lr,seed,epochs,batch_size,val_acc_pct,test_acc_pct,transfer_set{columns}\n"
        f"cars,full_ft,1e-5,0,3,16,62,60,cifar100{values}\ncars,full_ft,1e-5,1,3,16,64,61,cifar100{values}\n"
    )
    shown = "weight_decay, warmup_fraction, clip_norm, requested_precision, prompt_template"
    assert run_sql(mine, f"SELECT DISTINCT batch_size, {shown} FROM runs").rows() == [(16, decay, *[None] * 4)]
