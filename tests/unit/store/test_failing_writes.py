"""Every write and every flush to the disk fails once: a clear error, the old database whole, and the next try works.

A small library, compiled by the test and loaded before libc's functions (LD_PRELOAD), makes the n-th call of write,
pwrite, fsync or fdatasync on a regular file fail, DuckDB's calls among them; n goes from the first call to the last.
"""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from heatdrift.errors import StoreError
from heatdrift.store import files
from heatdrift.store.claims import claim
from heatdrift.store.folder import read_record, write_record
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
static int left = 0, calls = 0, code = 0;
void fail_call(int n, int with) { left = n; calls = 0; code = with; }
int calls_made(void) { return calls; }
static int fails(int fd) {
  struct stat about;
  if (fstat(fd, &about) || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) return 0;
  if (++calls != left) return 0;
  errno = code;
  return 1;
}
#define REAL(kind, name, types) static kind (*real) types; if (!real) real = dlsym(RTLD_NEXT, name)
int fsync(int fd) { REAL(int, "fsync", (int)); return fails(fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(int, "fdatasync", (int)); return fails(fd) ? -1 : real(fd); }
ssize_t write(int fd, const void *b, size_t n) {
  REAL(ssize_t, "write", (int, const void *, size_t)); return fails(fd) ? -1 : real(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) {
  REAL(ssize_t, "pwrite", (int, const void *, size_t, off_t)); return fails(fd) ? -1 : real(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off_t o) {
  REAL(ssize_t, "pwrite64", (int, const void *, size_t, off_t)); return fails(fd) ? -1 : real(fd, b, n, o); }
"""
CHILD = """
import ctypes, json, sys
from pathlib import Path
import msgspec
from heatdrift.errors import HeatdriftError
from heatdrift.store.claims import claim
from heatdrift.store.folder import cell_folder, read_record, write_record
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql
shim, source, store, code = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
record = read_record(source)
found = {"faults": 0, "errors": 0, "other": [], "wrong": [], "left": 0}
def step(seed):
    cell = msgspec.structs.replace(record.cell, seed=seed)
    with claim(cell_folder(store.parent, record.study, cell.cell_id), cell):
        write_record(msgspec.structs.replace(record, cell=cell, cell_id=cell.cell_id), store.parent)
    ingest(store)
step(1000)
n, seeds = 0, [1000]
while True:
    n += 1
    before = store.read_bytes()
    shim.fail_call(n, code)
    try:
        step(1000 + n)
        ended = "well"
    except HeatdriftError:
        ended = "error"
    except BaseException as error:
        ended = "other"
        found["other"].append(repr(error)[:200])
    made = shim.calls_made()
    shim.fail_call(0, 0)
    if made < n:
        break
    found["faults"] += 1
    found["errors"] += ended == "error"
    rows = run_sql(store, "select count(*) n, count(distinct seed) d from runs")
    if rows["n"][0] != rows["d"][0] or rows["n"][0] < len(seeds):
        found["wrong"].append(n)
    step(1000 + n)
    seeds.append(1000 + n)
    if run_sql(store, "select count(*) n from runs where status = 'done'")["n"][0] != len(seeds):
        found["wrong"].append(-n)
found["left"] = len([*store.parent.rglob(".*.tmp*"), *store.parent.rglob("running.json")])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("the library that lets writes fail is compiled by gcc, for Linux")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    done = subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c", "-ldl"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"gcc cannot make a library: {done.stderr[:200]}")
    return folder / "shim.so"


@pytest.mark.slow  # a fault a second
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_no_failing_write_or_flush_loses_a_run(shim, tmp_path, make_record, code):
    source = write_record(make_record(seed=1), tmp_path / "source").path
    store = tmp_path / "runs" / "heatdrift.duckdb"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(shim), str(source), str(store), str(int(code))],
        env=os.environ | {"LD_PRELOAD": str(shim)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["faults"] >= 10, found
    assert found["errors"] >= 10
    assert found["other"] == []
    assert found["wrong"] == []
    assert found["left"] == 0, found


def test_a_flush_that_fails_is_our_error_and_leaves_what_was_there(tmp_path, make_record, monkeypatch):
    store = tmp_path / "heatdrift.duckdb"
    path = write_record(make_record(seed=7), tmp_path).path
    ingest(store)
    before = store.read_bytes()
    write_record(make_record(seed=11), tmp_path)

    def broken(_descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", broken)
        for step in (
            lambda: ingest(store),
            lambda: write_record(make_record(seed=19), tmp_path),
            lambda: claim(tmp_path / "tiny" / "c1-0"),
        ):
            with pytest.raises(StoreError, match="Input/output error"):
                step()
        assert store.read_bytes() == before
    assert read_record(path).cell.seed == 7
    assert list(tmp_path.rglob(".*.tmp*")) == []
    assert ingest(store).added == 1
    assert run_sql(store, "SELECT count(*) n FROM runs")["n"][0] == 2


def test_a_claim_whose_folder_cannot_be_flushed_is_held_by_nobody(tmp_path, monkeypatch):
    cell = tmp_path / "tiny" / "c1-0"

    def broken(_folder):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(files, "sync_folder", broken)
        with pytest.raises(StoreError, match="Input/output error"):
            claim(cell)
    with claim(cell) as held:
        assert held.held
