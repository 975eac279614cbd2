"""A disk that takes no more, met by a real process: files that may not grow (RLIMIT_FSIZE) end its writes.

DuckDB, Arrow and Python write through the operating system, which refuses; nothing is replaced by a stand-in.
"""

import resource
import subprocess
import sys

import duckdb
import pytest

from heatdrift.cli.main import main
from heatdrift.errors import NotAStoreError
from heatdrift.store.connect import is_write_failure
from heatdrift.store.damage import is_damage, is_full_disk
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest, rebuild

SPILLING = """
import sys
from pathlib import Path
from heatdrift.store import connect
own = connect.duckdb_limits
connect.duckdb_limits = lambda: own() | {"memory_limit": "60MB", "threads": 1}  # so that a small query puts rows aside
from heatdrift.errors import HeatdriftError
from heatdrift.store.sql import run_sql
try:
    run_sql(Path(sys.argv[1]), "SELECT count(*) FROM (SELECT DISTINCT hash(range) AS h, repeat(range::VARCHAR, 9) AS s "
            "FROM range(3000000) ORDER BY h)")
except HeatdriftError as error:
    print(type(error).__name__, error.message, "|", error.hint)
"""


def limited(folder, kilobytes, *command):
    """Run Python with files that may not grow beyond so many kilobytes; Python ignores the signal, so writes fail."""
    size = kilobytes * 1024
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )


@pytest.fixture
def filled(tmp_path, make_record):
    store = tmp_path / "heatdrift.duckdb"
    for seed in range(4):
        write_record(make_record(seed=seed), tmp_path)
    ingest(store)
    write_record(make_record(seed=11), tmp_path)
    return store


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}


@pytest.mark.parametrize(
    "command",
    [
        ("store", "rebuild"),
        ("export", "--to", "FOLDER/export.duckdb"),
        ("report", "--html"),
        ("import", "FOLDER/table.csv", "--study", "more", "--format", "table"),
    ],
    ids=lambda command: command[0],
)
def test_a_disk_that_takes_no_more_is_our_error_and_changes_nothing(filled, tmp_path, command):
    (tmp_path / "table.csv").write_text(
        "backbone,dataset,method,lr,seed,test_acc_pct,remark\n"
        + "".join(f"b,d,full_ft,1e-4,{seed},50,{'x' * 40}\n" for seed in range(3))
    )
    before = files(tmp_path)
    kilobytes = 1 if command[0] == "import" else 64  # records are small
    words = [word.replace("FOLDER", str(tmp_path)) for word in command]
    ended = limited(tmp_path, kilobytes, "-m", "heatdrift", *words, "--store", str(filled))
    assert ended.returncode == 2, ended.stderr
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "rebuild" not in ended.stderr
    assert not list(tmp_path.rglob("*.tmp*"))
    assert files(tmp_path) == before
    assert ingest(filled).added == 1


def test_a_full_disk_of_temporary_files_is_not_a_damaged_store(filled):
    ended = limited(filled.parent, 2048, "-c", SPILLING, str(filled))
    kind, _, said = ended.stdout.partition(" ")
    assert kind == "QueryError", ended.stderr
    assert "temporary files" in said
    assert "damaged" not in said
    assert "rebuild" not in said


def truncations(store):
    whole = store.read_bytes()
    for part in (3, 6):
        yield whole[: len(whole) * part // 10]
    changed = bytearray(whole)
    for at in range(20_000, len(changed), 40_000):  # a byte in every block of 256 KiB
        changed[at] ^= 0x10
    yield bytes(changed)


@pytest.mark.parametrize(
    "command",
    [
        ("stats", "interaction", "--metric", "delta_entropy_pct"),
        ("report", "--html"),
        ("sql", "select * from layers join heads using (study, cell_id)"),
        ("export", "--to", "FOLDER/export"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_says_of_a_truncated_store_how_it_is_made_anew(filled, tmp_path, command, capsys, monkeypatch):
    whole = filled.read_bytes()
    for number, data in enumerate(truncations(filled)):
        filled.write_bytes(data)
        words = [word.replace("FOLDER", str(tmp_path)) for word in command]
        monkeypatch.setattr(sys, "argv", ["heatdrift", *words, "--store", str(filled)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert ended.value.code == 2, (number, said)
        assert "store rebuild" in said, (number, said)
        assert filled.read_bytes() == data
        filled.write_bytes(whole)


def test_an_ingest_into_a_truncated_store_says_how_it_is_made_anew(filled):
    for data in truncations(filled):
        filled.write_bytes(data)
        with pytest.raises(NotAStoreError, match="is damaged") as caught:
            ingest(filled)
        assert "store rebuild" in caught.value.hint
        assert filled.read_bytes() == data
    assert rebuild(filled).added == 5


@pytest.mark.parametrize(
    ("cause", "what"),
    [
        (duckdb.Error("Corrupt database file: computed checksum 1 does not match stored checksum 2"), "damage"),
        (duckdb.IOException('IO Error: Could not read enough bytes from file "x.duckdb"'), "damage"),
        (duckdb.IOException('IO Error: Could not write file "duckdb_temp.tmp": File too large'), "full"),
        (duckdb.OutOfMemoryException("failed to offload data block of size 256.0 KiB"), "full"),
        (duckdb.IOException("IO Error: Cannot open file"), "neither"),
        (duckdb.ParserException("syntax error"), "neither"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_damage_and_a_full_disk_are_told_apart_by_what_duckdb_says(cause, what):
    assert (is_damage(cause), is_full_disk(cause)) == (what == "damage", what == "full")
    assert is_write_failure(cause) == (what == "full")
