"""What files may hold and no record can: names that are no text, no classes, dates before year 1 and after 9999."""

import json
import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heatdrift.errors import DataError, RecordError
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.importers.columns import ColumnMap
from heatdrift.store.importers.reference_format import decode_reference
from heatdrift.store.importers.table import import_table
from heatdrift.store.importers.tracked import import_tracked
from heatdrift.store.importers.trackio import read_trackio

RUN = {"backbone": "b", "dataset": "d", "method": "full_ft", "lr": 1e-4, "seed": 1, "test_acc_pct": 50.0}
FAR = [
    (pa.date32(), 2**30),
    (pa.date32(), -(2**31)),
    (pa.date64(), 2**55),
    (pa.timestamp("us"), 2**62),
    (pa.timestamp("us", "UTC"), -(2**62)),
    (pa.timestamp("ms"), 2**60),
]


def table(path, folder):
    return import_table(path, ColumnMap(), store_folder=folder, study="s")


@pytest.mark.parametrize("more", [{"\ud800x": 1.5}, {"\udfff": "text"}, {"log": {"\ud800": 3}}], ids=ascii)
def test_a_column_whose_name_is_no_text_is_refused_by_name(tmp_path, more):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps([RUN | more]))
    with pytest.raises(DataError, match=r"runs\.json: the name of the column .*\\ud[8f].* surrogate"):
        table(path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("config", [{"\ud800": 1}, {"deep": {"\udfff": "x"}}], ids=ascii)
@pytest.mark.parametrize("logged", [{}, {"\udc00": 1.0}], ids=ascii)
def test_a_tracker_s_name_that_is_no_text_is_refused_with_its_file(tmp_path, config, logged):
    path = tmp_path / "project.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metrics (id INTEGER, run_id TEXT, run_name TEXT, step INTEGER, metrics TEXT)")
        database.execute("CREATE TABLE configs (id INTEGER, run_id TEXT, config TEXT)")
        database.execute("INSERT INTO metrics VALUES (1, 'a', 'a', 1, ?)", [json.dumps({"val_acc_pct": 3} | logged)])
        database.execute("INSERT INTO configs VALUES (1, 'a', ?)", [json.dumps(RUN | config)])
    database.close()
    with pytest.raises(DataError, match=r"project\.db: the name of the column .*\\ud[8fc].* surrogate"):
        import_tracked(
            read_trackio(path), ColumnMap(), source=str(path), origin="trackio", store_folder=tmp_path, study="s"
        )


@pytest.mark.parametrize("field", ["num_classes", "batch_size"])
@pytest.mark.parametrize("number", [0, -1])
def test_a_reference_run_without_classes_or_batches_is_refused_by_field(tmp_path, field, number):
    attention = {f"{name}_{of}": [] if of == "per_layer" else 1.0 for name in ("entropy", "erf95", "gini") for of in
                 ("per_layer", "mean")}  # fmt: skip
    config = {"dataset": "d", "method": "m", "lr": 1e-4, "seed": 1, "epochs": 1, "batch_size": 8, "weight_decay": 0.0,
              "model_name": "m", "num_classes": 2, "splits": {"train": 4}}  # fmt: skip
    run = {"run_id": "r", "config": config, "parameters": {"trainable": 1, "total": 2},
           "baseline": {"attention": attention}, "history": []}  # fmt: skip
    path = tmp_path / "run.json"
    assert decode_reference(json.dumps(run).encode(), path).config.num_classes == 2
    config[field] = number
    with pytest.raises(RecordError, match=rf"run\.json: .*>= 1.*config\.{field}"):
        decode_reference(json.dumps(run).encode(), path)


def dated(kind, number, name):
    """A table of three runs of which the second has such a date."""
    numbers = pa.array([0, number, None], pa.int64() if kind.bit_width == 64 else pa.int32())
    return pa.table({key: [value] * 3 for key, value in RUN.items()} | {"seed": [1, 2, 3], name: numbers.cast(kind)})


@pytest.mark.parametrize("name", ["started_at", "remark"])
@pytest.mark.parametrize(("kind", "number"), FAR, ids=str)
def test_a_date_out_of_range_is_refused_by_row_and_column(tmp_path, kind, number, name):
    path = tmp_path / "runs.parquet"
    pq.write_table(dated(kind, number, name), path)
    with pytest.raises(DataError, match=rf"runs\.parquet, row 2: '{name}' has a date outside the years 1 to 9999"):
        table(path, tmp_path / "runs")
    pq.write_table(dated(kind, 0, name), path)
    assert table(path, tmp_path / "runs").added == 3


@pytest.mark.parametrize("name", ["started_at", "finished_at"])
@pytest.mark.parametrize(("kind", "number"), FAR, ids=str)
def test_a_date_out_of_range_in_bulk_is_refused_by_row_and_column(tmp_path, kind, number, name):
    folder = tmp_path / "export"
    folder.mkdir()
    for value in (number, 0):
        rows = dated(kind, value, name)
        rows = rows.append_column("study", pa.array(["s"] * 3)).append_column("cell_id", pa.array(["a", "b", "c"]))
        pq.write_table(rows, folder / "runs.parquet")
        if value:
            with pytest.raises(DataError, match=rf"{name} is no time between the years 1 and 9999 \((row 2|.*MS.*)\)"):
                import_bulk(folder, tmp_path / "runs")
            assert not list((tmp_path / "runs").rglob("*.parquet"))
        else:
            assert import_bulk(folder, tmp_path / "runs").added == 3
