"""Texts that a spreadsheet would run are marked in every CSV that is written, and read back as they were."""

import csv

import polars as pl
import pytest

from heatdrift.cli.options import Format
from heatdrift.cli.output import show_frame
from heatdrift.csv_safe import csv_safe, unmarked
from heatdrift.store.export import export_store
from heatdrift.store.folder import write_record
from heatdrift.store.importers.table_file import read_table_file
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql, write_frame

TEXTS = ["=1+1", "+a", "-b", "@x", "\tq", "\rz", "'=1", "''-x", "'tis", "plain"]


def starts(texts):
    return {text[0] for text in texts if text}


def test_marking_is_undone_by_reading():
    frame = pl.DataFrame({"text": TEXTS, "number": [-float(i) for i in range(len(TEXTS))]})
    marked = csv_safe(frame)
    assert starts(marked["text"]) == {"'", "p"}
    assert marked["number"].equals(frame["number"])
    assert [unmarked(text) for text in marked["text"]] == TEXTS


def test_a_printed_and_a_written_table_are_safe_and_read_again(tmp_path, capsys):
    frame = pl.DataFrame({"method": ["=1+1", "@x"], "lr": [-1.0, 2.0]})
    show_frame(frame, Format.csv)
    assert capsys.readouterr().out == "method,lr\n'=1+1,-1.0\n'@x,2.0\n"
    show_frame(frame, Format.csv, safe=False)
    assert capsys.readouterr().out == "method,lr\n=1+1,-1.0\n@x,2.0\n"
    write_frame(frame, tmp_path / "t.csv", "csv")
    assert [row["method"] for row in read_table_file(tmp_path / "t.csv").rows] == ["=1+1", "@x"]


@pytest.mark.parametrize("safe", [True, False])
def test_an_export_marks_its_texts(tmp_path, make_record, safe):
    write_record(make_record(status="failed", error="=cmd()", selected_epoch=None), tmp_path)
    store = tmp_path / "heatdrift.duckdb"
    ingest(store)
    export_store(store, tmp_path / "out", kind="csv", safe=safe)
    with (tmp_path / "out" / "runs.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["error"] == ("'=cmd()" if safe else "=cmd()")
    assert run_sql(store, "SELECT error FROM runs")["error"][0] == "=cmd()"
