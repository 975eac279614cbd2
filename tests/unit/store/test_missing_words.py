"""Words for "no value" are no value, in keys and in metrics: no number and no name stands in for a missing one."""

import json

import polars as pl
import pytest

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.per_image_table import read_run_images
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.reference import import_reference
from heatdrift.store.importers.table import import_table
from heatdrift.store.importers.values import is_missing, trimmed
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql

WORDS = ("", "nan", "NaN", " NAN\t", "null", "None", "NA", "N/A", "-", "\u2013", "\u00a0", "\ufeffnan", "<NA>", "-nan")


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_no_value_is_missing(word):
    assert is_missing(word)


@pytest.mark.parametrize("word", ["0", "inf", "nano", "no", "-1", "full_ft", "n/a b"])
def test_other_words_are_values(word):
    assert not is_missing(word)


def test_what_a_reader_does_not_see_is_no_part_of_a_name():
    assert trimmed("\ufeff cars\u00a0\u200b") == "cars"
    assert trimmed("cafe\u0301") == "caf\u00e9"


KEYS = ("backbone", "dataset", "method", "lr", "seed")


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_row_without_a_key_is_left_out_and_named(mine, tmp_path, kind):
    good = {"backbone": "m", "dataset": "cars", "method": "full_ft", "lr": "1e-5", "seed": "1", "val_acc_pct": "61.0"}
    wrong = [(key, word) for key in KEYS for word in WORDS]
    frame = pl.DataFrame([good, *(good | {key: word, "val_acc_pct": "62.0"} for key, word in wrong)])
    path = tmp_path / f"t.{kind}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[kind](path)
    report = import_table(path, column_map(), store_folder=mine.parent, study="s")
    assert report.added == 1
    assert len(report.problems) == len(wrong)
    for number, ((key, _), problem) in enumerate(zip(wrong, report.problems, strict=True), start=2):
        assert problem.reason.startswith(f"row {number}: no value for {key} (column {key!r} holds ")


@pytest.mark.parametrize(("key", "value"), [("lr", "inf"), ("lr", "-inf"), ("lr", "Infinity"), ("seed", "inf")])
def test_an_infinite_key_is_refused(mine, tmp_path, key, value):
    row = {"backbone": "m", "dataset": "cars", "method": "full_ft", "lr": "1e-5", "seed": "1", "val_acc_pct": "61.0"}
    pl.DataFrame([row | {key: value}]).write_csv(tmp_path / "t.csv")
    report = import_table(tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="s")
    assert report.added == 0
    assert f"{key} is {value!r}, not a finite number" in report.problems[0].reason


def test_numbers_that_are_nan_in_a_typed_table_are_missing_too(mine, tmp_path):
    rows = {"backbone": ["m"] * 2, "dataset": ["cars"] * 2, "method": ["full_ft"] * 2, "lr": [float("nan"), 1e-5]}
    pl.DataFrame(rows | {"seed": [1.0, 2.0], "val_acc_pct": [61.0, 62.0]}).write_parquet(tmp_path / "t.parquet")
    report = import_table(tmp_path / "t.parquet", column_map(), store_folder=mine.parent, study="s")
    assert (report.added, len(report.problems)) == (1, 1)
    assert "no value for lr (column 'lr' holds 'nan')" in report.problems[0].reason


def test_a_metric_with_a_word_for_no_value_was_not_measured(mine, tmp_path):
    (tmp_path / "t.csv").write_text(
        "backbone,dataset,method,lr,seed,val_acc_pct,train_loss,layers_entropy\n"
        'm,cars,full_ft,1e-5,1,61.0,N/A,"[1.0, null]"\n'
        "m,cars,full_ft,1e-5,2,61.0,-,None\n"
    )
    report = import_table(tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="s")
    assert (report.added, report.problems) == (2, ())
    ingest(mine)
    assert run_sql(mine, "SELECT train_loss FROM runs")["train_loss"].to_list() == [None, None]


@pytest.mark.parametrize("word", ["nan", "None", " - "])
def test_a_constant_that_is_no_value_is_refused(word):
    with pytest.raises(DataError, match="no value"):
        column_map([], [f"lr={word}"])


@pytest.mark.parametrize("key", ["backbone", "dataset", "method"])
def test_tables_in_bulk_refuse_such_names_too(mine, tmp_path, key):
    folder = tmp_path / "table"
    folder.mkdir()
    rows = {"study": ["s"] * 2, "cell_id": ["a", "b"], "backbone": ["m"] * 2, "dataset": ["d"] * 2}
    rows |= {"method": ["x"] * 2, "lr": [0.1, 0.2], "seed": [1, 2]}
    pl.DataFrame(rows | {key: ["x", "NaN"]}).write_parquet(folder / "runs.parquet")
    with pytest.raises(DataError, match=r"no backbone, dataset, method, lr or seed \(row 2, s/b\)"):
        import_heatdrift(folder, mine.parent)


def test_a_reference_run_of_a_data_set_without_a_name_is_left_out(mine, shared, tmp_path):
    file = next(iter(sorted((shared / "records" / "vitb16").rglob("*.json"))))
    run = json.loads(file.read_text())
    run["config"]["dataset"] = "NaN"
    (tmp_path / "run.json").write_text(json.dumps(run))
    report = import_reference(tmp_path / "run.json", mine.parent, "s")
    assert (report.added, len(report.problems)) == (0, 1)
    assert "config.dataset is 'NaN', which is no name" in report.problems[0].reason


def test_a_prediction_that_is_missing_is_no_class(tmp_path):
    rows = {"dataset": ["d"] * 2, "method": ["m"] * 2, "lr": [1e-5] * 2, "seed": [1] * 2, "transfer_set": ["t"] * 2}
    rows |= {"image": [0, 1], "label": ["cat", "dog"], "base_pred": ["cat", "dog"], "adapted_pred": ["cat", "None"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "i.parquet")
    with pytest.raises(DataError, match="adapted_pred is missing in 1 rows"):
        read_run_images(tmp_path / "i.parquet")
    pl.DataFrame(rows | {"adapted_pred": ["cat", "dog"], "lr": [1e-5, float("nan")]}).write_parquet(
        tmp_path / "i.parquet"
    )
    with pytest.raises(DataError, match="lr is missing in 1 rows"):
        read_run_images(tmp_path / "i.parquet")
