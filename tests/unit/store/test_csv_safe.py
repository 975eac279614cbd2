"""Texts that a spreadsheet would run are marked in every CSV that is written, and read back as they were."""

import csv
import re
from pathlib import Path

import polars as pl
import pytest

import heatdrift
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
    assert [row["method"] for row in read_table_file(tmp_path / "t.csv").rows] == ["'=1+1", "'@x"]  # not of our export
    ours = frame.with_columns(study=pl.lit("s"), cell_id=pl.lit("c"))
    write_frame(ours, tmp_path / "t.csv", "csv")
    assert [row["method"] for row in read_table_file(tmp_path / "t.csv").rows] == ["=1+1", "@x"]


def test_apostrophes_of_a_foreign_table_stay(tmp_path):
    (tmp_path / "t.csv").write_text("run,'=name\n1,'=1\n2,'tis\n")
    assert read_table_file(tmp_path / "t.csv").rows == [{"run": "1", "'=name": "'=1"}, {"run": "2", "'=name": "'tis"}]


def test_names_of_columns_are_marked_like_texts(capsys):
    show_frame(pl.DataFrame({"=1+1": [-1.0], "-b": ["x"], "plain": [2]}), Format.csv)
    assert capsys.readouterr().out == "'=1+1,'-b,plain\n-1.0,x,2\n"


def test_every_writer_of_csv_marks():
    """A new one that does not is found here: each place that makes CSV names ``csv_safe.py``, or is its twin in JS."""
    package = Path(heatdrift.__file__).parent
    makes = re.compile(r"write_csv\(|csv\.writer\(|DictWriter\(|to_csv\(|FORMAT csv|text/csv")
    found = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for end in ("py", "js")
        for path in package.rglob(f"*.{end}")
    }
    makers = {name for name, text in found.items() if makes.search(text)}
    assert makers == {"cli/output.py", "store/export.py", "store/sql.py", "report/assets/report.js"}
    assert all("csv_safe" in found[name] for name in makers if name.endswith(".py"))
    assert r"replace(/^('*[=+\-@\t\r])/" in found["report/assets/report.js"]


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
