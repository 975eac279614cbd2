"""Tables as people keep them: the same three rows in every dialect are the same rows."""

import gzip
import json

import polars as pl
import pytest

from heatdrift.errors import DataError
from heatdrift.store.importers import text_file
from heatdrift.store.importers.table_file import read_table_file

NAMES = ("dataset", "method", "lr", "test_acc_pct")
ROWS = [("cars", "full_ft", "1e-05", "62.38"), ("café", "full_ft", "0.0001", "63.7"), ("dtd", "lora", "1e-05", "9")]
PLAIN = "\n".join(",".join(row) for row in (NAMES, *ROWS)) + "\n"
TABLES = {
    "plain.csv": PLAIN.encode(),
    "upper.CSV": PLAIN.encode(),
    "windows.csv": PLAIN.replace("\n", "\r\n").encode(),
    "mac.csv": PLAIN.replace("\n", "\r").encode(),
    "mark.csv": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf16.csv": PLAIN.encode("utf-16"),
    "utf16_bare.csv": PLAIN.encode("utf-16-le"),
    "latin.csv": PLAIN.encode("latin-1"),
    "packed.csv.gz": gzip.compress(PLAIN.encode()),
    "packed_but_unnamed.csv": gzip.compress(PLAIN.encode()),
    "semicolon.csv": PLAIN.replace(",", ";").encode(),
    "comma.csv": PLAIN.replace(",", ";").replace(".", ",").encode(),
    "excel.csv": b"sep=;\n" + PLAIN.replace(",", ";").encode(),
    "tabs.tsv": PLAIN.replace(",", "\t").encode(),
    "tabs.csv": PLAIN.replace(",", "\t").encode(),
    "bars.txt": PLAIN.replace(",", "|").encode(),
    "drawn.txt": "\n".join("   ".join(f"{v:12}" for v in row) for row in (NAMES, *ROWS)).encode(),
    "spaces.csv": PLAIN.replace(",", " , ").encode(),
    "comments.csv": b"# made by x, y, z\n\n#\n" + PLAIN.encode() + b"# end\n\n",
    "quoted.csv": "\n".join(",".join(f'"{v}"' for v in row) for row in (NAMES, *ROWS)).encode(),
    "percent.csv": PLAIN.replace("62.38", "62.38 %").replace("63.7", "63.7%").replace(",9\n", ",9%\n").encode(),
    "records.json": json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS]).encode(),
    "lines.jsonl": "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS).encode(),
    "lines.json": "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS).encode(),
    "lines.ndjson.gz": gzip.compress("\n".join(json.dumps(dict(zip(NAMES, r, strict=True))) for r in ROWS).encode()),
    "columns.json": json.dumps({n: [row[i] for row in ROWS] for i, n in enumerate(NAMES)}).encode(),
    "pandas.json": json.dumps(
        {n: {str(k): row[i] for k, row in enumerate(ROWS)} for i, n in enumerate(NAMES)}
    ).encode(),
    "by_name.json": json.dumps({f"run {k}": dict(zip(NAMES, row, strict=True)) for k, row in enumerate(ROWS)}).encode(),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_dialect_gives_the_same_rows(tmp_path, name):
    (tmp_path / name).write_bytes(TABLES[name])
    table = read_table_file(tmp_path / name)
    assert table.names == NAMES
    assert [tuple(v.strip() for v in row.values()) for row in table.rows] == ROWS


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("comma.csv", "CSV, separated by semicolons; decimal commas in lr, test_acc_pct"),
        ("percent.csv", "CSV, separated by commas; percent signs in test_acc_pct"),
        ("latin.csv", "latin-1 (it is not UTF-8)"),
        ("utf16.csv", "UTF-16"),
        ("packed.csv.gz", "gzip"),
        ("comments.csv", "3 comment lines passed over"),
        ("records.json", "JSON"),
        ("lines.json", "JSON lines"),
    ],
)
def test_how_it_was_read_is_said(tmp_path, name, words):
    (tmp_path / name).write_bytes(TABLES[name])
    assert words in read_table_file(tmp_path / name).read_as


def test_a_parquet_table_keeps_its_types(tmp_path):
    pl.DataFrame({"lr": [1e-5], "seed": [7], "layers": [[1.0, 2.0]]}).write_parquet(tmp_path / "t.parquet")
    assert read_table_file(tmp_path / "t.parquet").rows == [{"lr": 1e-5, "seed": 7, "layers": [1.0, 2.0]}]


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (
            ["1,234", "5,678"],
            ["1,234", "5,678"],
        ),  # thousands or decimals: nobody knows, so each row says that it is no number
        (["62,38", "63,700"], ["62.38", "63.700"]),
        (["1.234,5", "2"], ["1.234,5", "2"]),
        (["62 %", "0.63"], ["62 %", "0.63"]),
        (["[1, 2]", "[3, 4]"], ["[1, 2]", "[3, 4]"]),
    ],
)
def test_what_is_ambiguous_stays_as_it_is(tmp_path, texts, read):
    (tmp_path / "t.csv").write_text("a;b\n" + "".join(f"x;{text}\n" for text in texts))
    assert [row["b"] for row in read_table_file(tmp_path / "t.csv").rows] == read


def test_pandas_writes_nan_into_json_lines(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"lr": NaN, "seed": 1}\n{"lr": 1e-5, "seed": null}\n')
    rows = read_table_file(tmp_path / "t.jsonl").rows
    assert rows[0]["lr"] != rows[0]["lr"]
    assert rows[1] == {"lr": 1e-5, "seed": None}


def test_objects_within_a_row_become_columns(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"config": {"lr": 1e-5, "opt": {"wd": 0}}, "summary": {"acc": 50}}\n')
    assert read_table_file(tmp_path / "t.jsonl").rows == [{"config.lr": 1e-5, "config.opt.wd": 0, "summary.acc": 50}]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("deep.jsonl", b'{"a": ' * 500 + b"1" + b"}" * 500, "row 1, column 'a.a.a...', is nested too deep"),
        ("deeper.jsonl", b'{"a": ' * 200_000 + b"1" + b"}" * 200_000, "nested too deep"),
        ("lists.json", b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        ("long.csv", b"a,b,c\n1,2,3\n#\n1,2,3,4\n", "line 4 has 4 fields where the header has 3"),
        ("short.csv", b"a,b,c\n1,2,3\n\n1,2\n", "line 4 has 2 fields where the header has 3"),
        ("twice.csv", b"a,b,a\n1,2,3\n", "two columns named 'a'"),
        ("book.csv", b"PK\x03\x04rest", "an Excel workbook"),
        ("zero.csv", b"a,b\n1,\x00\n", "zero bytes"),
        ("empty.csv", b"", "has no rows"),
        ("header.csv", b"a,b\n", "has no rows"),
        ("empty.json", b"[]", "has no rows"),
        ("number.json", b"3", "no table"),
        ("broken.jsonl", b'{"a": 1}\n{"a": \n', "line 2"),
        ("broken.csv.gz", gzip.compress(b"a,b\n1,2\n" * 100, mtime=0)[:30], "cannot read"),
        ("t.parquet", b"no", "cannot read"),
        ("t.xlsx", b"", "no table by its suffix"),
        ("t", b"", "no table by its suffix"),
    ],
)
def test_what_is_no_table_is_said_at_once(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table_file(tmp_path / name)
    assert says in caught.value.message
    assert name in caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.hint


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_table_file(tmp_path / "t.csv")


def test_a_table_that_gzip_makes_far_smaller_is_not_unpacked_whole(tmp_path, monkeypatch):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 500_000))
    monkeypatch.setattr(text_file, "_SMALL", 1000)
    with pytest.raises(DataError, match=r"t\.csv\.gz is larger than \d+ MiB unpacked, 200 times its size"):
        read_table_file(path)
