import json
import shutil
import subprocess
import sys
import threading

import duckdb
import msgspec
import polars as pl
import pytest

from heatdrift.errors import NotAStoreError, StoreError
from heatdrift.metrics import CELL_COLUMNS, FIRST_PROBES, PROBE, PROBES
from heatdrift.store import connect, ingest, migrate
from heatdrift.store.connect import open_store
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import open_current, rebuild
from heatdrift.store.read import VIEWS, read_view, resolve_study, studies
from heatdrift.store.second_store import refuse_second_store


def words(text):
    return text.split()


STARTS = {
    "runs": words(
        """study cell_id protocol backbone dataset method lr seed status epochs selected_epoch trainable_params
        train_loss val_acc_pct test_acc_pct entropy delta_entropy_pct delta_entropy_last_pct delta_erf95_pct
        delta_gini_pct delta_head_diversity_pct delta_rollout_entropy_pct delta_patch_entropy_pct cka cka_last
        cka_debiased embedding_drift weight_drift proj_drift transfer_set zero_shot_base_pct zero_shot_pct retention_pct
        wall_s commit dirty started_at finished_at"""
    ),
    "epochs": words("study cell_id epoch train_loss train_acc_pct val_acc_pct") + [p.name for p in FIRST_PROBES],
    "layers": words("study cell_id epoch layer metric value base delta_pct"),
    "heads": words("study cell_id epoch layer head metric value base delta_pct"),
    "transfer": words("study cell_id transfer_set n_images base_pct adapted_pct retention_pct"),
    "robustness": words("study cell_id corruption acc_pct"),
    "cells": words("study backbone dataset method lr n_seeds trainable_params_mean trainable_params_sd"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_record):
    """A store folder of six runs with its database; tests take copies."""
    folder = tmp_path_factory.mktemp("finished")
    for method in ("full_ft", "lora_r8"):
        for seed in (7, 11, 19):
            write_record(make_record(method=method, seed=seed), folder)
    assert counts(ingest.ingest(folder / "heatdrift.duckdb")) == (6, 0, 0, 0, 0)
    return folder


@pytest.fixture
def store(tmp_path, finished):
    """Path of a database that is yet to be made from six records."""
    shutil.copytree(finished / "tiny", tmp_path / "tiny")
    return tmp_path / "heatdrift.duckdb"


@pytest.fixture
def loaded(store, finished):
    """The database of `store`, as ingest makes it."""
    shutil.copyfile(finished / store.name, store)


def view(store, name, **selection):
    with open_store(store) as connection:
        return read_view(connection, name, **selection)


def everything(store):
    """All public rows: what must not change when the same records are ingested again or the database is rebuilt."""
    return {name: view(store, name) for name in VIEWS}


def counts(report):
    return report.added, report.updated, report.unchanged, report.orphans, len(report.problems)


@pytest.mark.usefixtures("loaded")
def test_the_views_have_the_names_of_the_design_in_its_order(store):
    for name, start in STARTS.items():
        assert view(store, name).columns[: len(start)] == start
    assert {f"{c.name}_{kind}" for c in CELL_COLUMNS for kind in ("mean", "sd")} <= set(view(store, "cells").columns)
    assert {c.name for c in CELL_COLUMNS} <= set(view(store, "runs").columns)
    assert {"track_zero_shot_pct", "track_retention_pct"} <= set(view(store, "epochs").columns)
    drifts = {f"delta_{p.name}_pct" for p in PROBES if p.has_base}
    assert drifts <= set(view(store, "epochs").columns)


@pytest.mark.usefixtures("loaded")
def test_the_values_are_those_of_the_record(store, make_record):
    record = make_record(method="lora_r8", seed=11)
    row = view(store, "runs", method=["lora_r8"], seed=[11]).row(0, named=True)
    base, last = record.epochs[0], record.epochs[-1]
    assert row["entropy"] == last.means["entropy"]
    drift = 100 * (last.means["entropy"] - base.means["entropy"]) / base.means["entropy"]
    assert row["delta_entropy_pct"] == pytest.approx(drift, rel=1e-14)
    drift = 100 * (last.layers["gini"][-1] - base.layers["gini"][-1]) / base.layers["gini"][-1]
    assert row["delta_gini_last_pct"] == pytest.approx(drift, rel=1e-14)
    assert row["cka_last"] is None  # not defined in the last block
    assert row["cka_debiased_last"] == 0.9
    assert row["transfer_set"] == "objects"  # the cell's first, not the record's
    assert row["retention_pct"] == pytest.approx(100 * record.transfer[1].adapted_pct / 50)
    assert row["zero_shot_se_pct"] == pytest.approx(100 * (0.42 * 0.58 / 200) ** 0.5)
    assert str(row["started_at"]) == "2026-01-02 01:04:05"
    assert json.loads(row["packages"]) == {"torch": "2.7.1"}
    assert (row["commit"], row["dirty"], row["n_test"], row["adapter_live_max_diff"]) == ("abc1234", False, 100, None)


@pytest.mark.usefixtures("loaded")
def test_long_views_hold_every_layer_and_head_with_its_base(store, make_record):
    record = make_record(method="full_ft", seed=7)
    layers = view(store, "layers", method=["full_ft"], seed=[7])
    for epoch in record.epochs:
        for metric, values in epoch.layers.items():
            rows = layers.filter(pl.col("metric") == metric, pl.col("epoch") == epoch.epoch)
            assert rows["value"].to_list() == list(values)
            base = list(record.epochs[0].layers[metric]) if PROBE[metric].has_base else [None] * 3
            assert rows["base"].to_list() == base
    assert layers.height == sum(len(v) for e in record.epochs for v in e.layers.values())
    heads = view(store, "heads", method=["full_ft"], seed=[7])
    assert heads.height == 3 * 4 * 3 * 2 + 2 * 3 * 2  # map_js is not at epoch 0 in these records
    assert heads.columns[4] == "head"
    assert set(heads["head"]) == {0, 1}
    assert heads.filter(pl.col("epoch") == 0)["delta_pct"].to_list() == [0.0] * 24
    moved = heads.filter(pl.col("metric") == "map_js")
    assert moved["base"].null_count() == moved["delta_pct"].null_count() == moved.height == 12


@pytest.mark.usefixtures("loaded")
def test_the_last_epoch_is_marked_whether_it_was_selected_or_not(store):
    epochs = view(store, "epochs").join(
        view(store, "runs").select("study", "cell_id", planned="epochs"), on=["study", "cell_id"]
    )
    assert epochs.filter(pl.col("last"))["epoch"].to_list() == epochs.filter(pl.col("last"))["planned"].to_list()
    assert epochs.filter(pl.col("epoch") < pl.col("planned"))["last"].any() is False
    assert epochs["last"].sum() > 0


@pytest.mark.usefixtures("loaded")
def test_epoch_zero_has_no_training_columns(store):
    base = view(store, "epochs").filter(pl.col("epoch") == 0)
    for name in ("train_loss", "train_acc_pct", "val_acc_pct", "cka", "weight_drift", "map_js"):
        assert base[name].null_count() == base.height == 6
    assert set(base["track_retention_pct"]) == {100.0}
    assert set(base["delta_entropy_pct"]) == {0.0}


def test_cells_average_the_done_runs_over_seeds(store, make_record, tmp_path):
    write_record(make_record(seed=23, status="diverged", wall_s=1e6), tmp_path)
    ingest.ingest(store)
    cells = view(store, "cells", method=["full_ft"])
    runs = view(store, "runs", method=["full_ft"]).filter(pl.col("status") == "done")
    assert cells["n_seeds"].to_list() == [3]
    for column in ("retention_pct", "delta_entropy_pct", "test_acc_pct"):
        assert cells[f"{column}_mean"][0] == pytest.approx(runs[column].mean())
        assert cells[f"{column}_sd"][0] == pytest.approx(runs[column].std())
    assert cells["wall_s_sd"].to_list() == [0.0]


def test_ingesting_twice_changes_nothing(store):
    assert counts(ingest.ingest(store)) == (6, 0, 0, 0, 0)
    before, stamp = everything(store), store.stat().st_mtime_ns
    assert counts(ingest.ingest(store)) == (0, 0, 6, 0, 0)
    assert store.stat().st_mtime_ns == stamp
    for name, frame in everything(store).items():
        assert frame.equals(before[name])
    assert sorted(p.name for p in store.parent.iterdir()) == [".heatdrift.duckdb.lock", "heatdrift.duckdb", "tiny"]


@pytest.mark.usefixtures("loaded")
def test_a_new_attempt_replaces_the_rows_of_the_old_one(store, make_record, tmp_path):
    write_record(make_record(seed=7, wall_s=99.0, test_acc_pct=12.5), tmp_path)
    assert counts(ingest.ingest(store)) == (0, 1, 5, 0, 0)
    runs = view(store, "runs", method=["full_ft"], seed=[7])
    assert runs["test_acc_pct"].to_list() == [12.5]
    assert runs["attempt"].to_list() == [2]
    assert (
        view(store, "layers").height == 6 * (3 * 6 + 2 * 3) * 3
    )  # runs x (epochs x probes + trained epochs x comparisons with base) x blocks
    with duckdb.connect(store, read_only=True) as connection:
        for table in ("epoch", "layer", "head", "transfer", "robustness"):
            unowned = f"SELECT count(*) FROM raw.{table} WHERE run_id NOT IN (SELECT run_id FROM raw.run)"
            assert connection.execute(unowned).fetchall() == [(0,)]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b.replace(b"full_ft", b"full_fx")]
)
def test_a_damaged_record_is_reported_and_taken_from_its_attempts(store, damage):
    path = next(p for p in store.parent.glob("tiny/*/record.json") if b"full_ft" in p.read_bytes())
    path.write_bytes(damage(path.read_bytes()))
    report = ingest.ingest(store)
    assert counts(report) == (6, 0, 0, 0, 1)
    assert report.problems[0].path == path
    assert "took attempts/1.json instead" in report.problems[0].reason
    assert counts(ingest.ingest(store)) == (0, 0, 6, 0, 1)


@pytest.mark.usefixtures("loaded")
def test_a_damaged_record_without_attempts_stops_nothing_and_keeps_its_earlier_rows(store):
    before = everything(store)
    path = sorted(store.parent.glob("tiny/*/record.json"))[2]
    path.write_text('{"format": 1')
    shutil.rmtree(path.parent / "attempts")
    report = ingest.ingest(store)
    assert counts(report) == (0, 0, 5, 0, 1)
    assert "truncated" in report.problems[0].reason
    assert everything(store)["runs"].equals(before["runs"])
    assert counts(rebuild(store)) == (5, 0, 0, 0, 1)


def test_a_missing_record_is_taken_from_its_attempts(store):
    path = next(store.parent.glob("tiny/*/record.json"))
    path.unlink()
    report = ingest.ingest(store)
    assert counts(report) == (6, 0, 0, 0, 1)


def test_a_doubled_record_counts_once(store, make_record, tmp_path):
    folder = tmp_path / "tiny" / make_record(seed=7).cell_id
    shutil.copytree(folder, tmp_path / "tiny" / "a-copy")
    shutil.copytree(folder, tmp_path / "tiny" / "b-copy")
    changed = make_record(seed=7, wall_s=1.0)
    (tmp_path / "tiny" / "b-copy" / "record.json").write_bytes(msgspec.json.encode(changed))
    for _ in range(2):
        report = ingest.ingest(store)
        assert report.added + report.unchanged == 6
        assert [p.path.parent.name for p in report.problems] == ["a-copy", "b-copy"]
        assert "the same record is at" in report.problems[0].reason
        assert "another record of the same cell is at" in report.problems[1].reason
    assert view(store, "runs", method=["full_ft"], seed=[7])["wall_s"].to_list() == [60.0]


def test_a_renamed_study_folder_is_read_all_the_same(store):
    (store.parent / "tiny").rename(store.parent / "tiny-old")
    assert counts(ingest.ingest(store)) == (6, 0, 0, 0, 0)
    assert view(store, "runs")["study"].unique().to_list() == ["tiny"]


@pytest.mark.usefixtures("loaded")
def test_rows_of_a_deleted_folder_stay_until_a_rebuild(store):
    shutil.rmtree(next(store.parent.glob("tiny/*")))
    assert counts(ingest.ingest(store)) == (0, 0, 5, 1, 0)
    assert view(store, "runs").height == 6
    assert counts(rebuild(store)) == (5, 0, 0, 0, 0)
    assert view(store, "runs").height == 5


@pytest.mark.usefixtures("loaded")
def test_a_deleted_database_is_made_again_by_opening_it(store):
    before = everything(store)
    store.unlink()
    with open_current(store) as connection:
        assert read_view(connection, "runs").equals(before["runs"])
    store.unlink()
    rebuild(store)
    for name, frame in everything(store).items():
        assert frame.equals(before[name])


@pytest.mark.usefixtures("loaded")
def test_a_damaged_database_is_refused_then_rebuilt_and_kept_beside(store):
    before = view(store, "runs")
    store.write_bytes(store.read_bytes()[:20_000])
    for step in (ingest.ingest, open_current):
        with pytest.raises(NotAStoreError, match="damaged") as caught:
            step(store)
        assert "rebuild" in caught.value.hint
    rebuild(store)
    assert view(store, "runs").equals(before)
    assert (store.parent / "heatdrift.duckdb.damaged-1").stat().st_size == 20_000


def test_a_file_that_is_no_store_is_refused_and_left_alone(store):
    store.write_text("my thesis" * 1000)
    for step in (ingest.ingest, open_current, open_store):
        with pytest.raises(NotAStoreError, match="not a DuckDB database"):
            step(store)
    assert store.read_text() == "my thesis" * 1000
    with duckdb.connect(store.with_name("other.duckdb")) as connection:
        connection.execute("CREATE TABLE cats (name VARCHAR)")
    for read_only in (True, False):
        with pytest.raises(NotAStoreError, match="not a heatdrift store"):
            open_store(store.with_name("other.duckdb"), read_only=read_only)
    store.write_bytes(b"SQLite format 3\x00" + b"\x00" * 5000)
    with pytest.raises(NotAStoreError):
        open_store(store)


@pytest.mark.usefixtures("loaded")
def test_a_rebuild_without_records_would_lose_runs_and_is_refused(store):
    shutil.rmtree(store.parent / "tiny")
    with pytest.raises(StoreError, match="6 runs"):
        rebuild(store)
    assert view(store, "runs").height == 6


def test_a_missing_store_names_the_next_command(tmp_path):
    with pytest.raises(StoreError, match="no store at") as caught:
        open_current(tmp_path / "heatdrift.duckdb")
    assert "heatdrift train" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("loaded")
def test_a_newer_schema_is_refused_and_left_alone(store):
    with duckdb.connect(store) as connection:
        connection.execute("INSERT INTO raw.migration VALUES (99, 'future', '9.0', now()::TIMESTAMP)")
    for step in (ingest.ingest, rebuild, open_current, open_store):
        with pytest.raises(StoreError, match="newer than") as caught:
            step(store)
        assert "upgrade" in caught.value.hint


def hold(path, *, read_only):
    code = (
        "import duckdb, sys\n"
        f"connection = duckdb.connect({str(path)!r}, read_only={read_only})\n"
        "print(connection.execute('SELECT count(*) FROM runs').fetchall()[0][0], flush=True)\n"
        "sys.stdin.readline()\n"
        "print(connection.execute('SELECT count(*) FROM runs').fetchall()[0][0], flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


@pytest.mark.usefixtures("loaded")
def test_a_writer_elsewhere_is_named(store):
    process, seen = hold(store, read_only=False)
    assert seen == "6"
    for step in (ingest.ingest, rebuild, open_current):
        with pytest.raises(StoreError, match=f"open for writing in process {process.pid}"):
            step(store)
    process.communicate("go\n")
    assert counts(ingest.ingest(store)) == (0, 0, 6, 0, 0)


@pytest.mark.usefixtures("loaded")
def test_an_open_reader_keeps_its_snapshot_and_stops_no_ingest(store, make_record, tmp_path):
    process, seen = hold(store, read_only=True)
    assert seen == "6"
    with open_store(store) as mine:
        for seed in range(100, 105):
            write_record(make_record(seed=seed), tmp_path)
            assert ingest.ingest(store).added == 1
        assert read_view(mine, "runs").height == 6
        assert view(store, "runs").height == 11
    assert process.communicate("go\n")[0] == "6\n"


def test_two_ingests_at_once_count_everything_once(store):
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(ingest.ingest(store))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts(r) for r in reports) == [(0, 0, 6, 0, 0)] * 3 + [(6, 0, 0, 0, 0)]


@pytest.mark.usefixtures("loaded")
def test_an_ingest_that_fails_or_is_killed_leaves_the_old_database(store, make_record, tmp_path, monkeypatch):
    before = everything(store)
    write_record(make_record(seed=1), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "_insert", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError):
            ingest.ingest(store)
    assert not list(tmp_path.glob(".*.tmp*"))
    for name, frame in everything(store).items():
        assert frame.equals(before[name])
    (tmp_path / ".heatdrift.duckdb.0123.tmp").write_text("left by a kill -9")
    assert ingest.ingest(store).added == 1
    assert not list(tmp_path.glob(".*.tmp*"))


@pytest.mark.usefixtures("loaded")
def test_an_older_schema_is_brought_up_to_date_in_one_transaction(store, tmp_path, monkeypatch):
    steps = tmp_path / "steps"
    shutil.copytree(migrate.FOLDER, steps)
    step = steps / f"{migrate.latest_version() + 1:04d}_more.sql"
    step.write_text("CREATE TABLE raw.more (x INTEGER); SELECT * FROM raw.nowhere;")
    monkeypatch.setattr(migrate, "FOLDER", steps)
    with pytest.raises(duckdb.Error, match="nowhere"):
        open_current(store)
    with pytest.raises(StoreError, match="has schema"):
        open_store(store)
    step.write_text("CREATE TABLE raw.more (x INTEGER); CREATE VIEW more AS FROM raw.more;")
    with open_current(store) as connection:
        assert connection.sql("SELECT count(*) FROM more").fetchall() == [(0,)]
        assert read_view(connection, "runs").height == 6
    (steps / "0099_gap.sql").touch()
    with pytest.raises(RuntimeError, match="is not step"):
        migrate.migrations()


@pytest.mark.usefixtures("loaded")
def test_the_storage_version_is_pinned(store):
    with open_store(store) as connection:
        tags = connection.sql("SELECT tags FROM duckdb_databases() WHERE database_name = 'store'").fetchall()[0][0]
    assert tags["storage_version"].rstrip("+") == connect.STORAGE_VERSION


@pytest.mark.usefixtures("loaded")
def test_any_duckdb_client_reads_the_views(store):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{store}' AS mine (READ_ONLY)")
        assert connection.execute("SELECT count(*) FROM mine.runs").fetchall() == [(6,)]
        assert connection.execute("SELECT count(*) FROM mine.cells").fetchall() == [(2,)]


def test_the_study_is_resolved_or_asked_for(store, make_record, tmp_path):
    with open_store(tmp_path / "empty.duckdb", read_only=False) as empty, pytest.raises(StoreError, match="no runs"):
        resolve_study(empty, None)
    ingest.ingest(store)
    with open_store(store) as connection:
        assert resolve_study(connection, None) == "tiny"
    write_record(make_record(study="other"), tmp_path)
    ingest.ingest(store)
    with open_store(store) as connection:
        assert studies(connection) == ("other", "tiny")
        assert resolve_study(connection, "other") == "other"
        assert read_view(connection, "runs", study="other").height == 1
        with pytest.raises(StoreError, match="other, tiny") as caught:
            resolve_study(connection, None)
        assert caught.value.exit_code == 2
        with pytest.raises(Exception, match="unknown study 'tin'") as unknown:
            resolve_study(connection, "tin")
        assert "'tiny'" in unknown.value.hint


@pytest.mark.usefixtures("loaded")
def test_selections_apply_to_every_view(store):
    with open_store(store) as connection:
        for name in VIEWS:
            if name not in ("cells", "further", "reference_points"):
                some = read_view(connection, name, study="tiny", method=["lora_r8"], seed=[7, 11], lr=[1e-3])
                assert some["cell_id"].n_unique() == 2
            assert read_view(connection, name, dataset=["nothing"]).height == 0
            assert read_view(connection, name, study="x' OR '1'='1").height == 0


def test_an_unwritable_folder_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        ingest.ingest(tmp_path / "file" / "heatdrift.duckdb")


@pytest.mark.usefixtures("loaded")
def test_writing_to_a_store_that_this_process_reads_is_a_clear_error(store):
    with open_store(store), pytest.raises(StoreError, match="open in this process") as caught:
        open_store(store, read_only=False)
    assert not isinstance(caught.value, NotAStoreError)


def test_a_second_database_in_one_folder_is_refused(make_record, tmp_path):
    write_record(make_record(seed=7), tmp_path)
    ingest.ingest(tmp_path / "a.duckdb")
    with pytest.raises(StoreError, match=r"a\.duckdb"):
        refuse_second_store(tmp_path / "b.duckdb")
    refuse_second_store(tmp_path / "a.duckdb")
    refuse_second_store(tmp_path / "elsewhere" / "b.duckdb")


def test_another_programs_database_beside_the_store_does_not_matter(tmp_path):
    duckdb.connect(tmp_path / "theirs.duckdb").close()
    (tmp_path / "text.duckdb").write_text("no database")
    refuse_second_store(tmp_path / "a.duckdb")


def test_a_reader_that_makes_the_database_says_so(make_record, tmp_path, caplog):
    write_record(make_record(seed=7), tmp_path)
    for _ in range(2):
        open_current(tmp_path / "a.duckdb").close()
    assert [r.getMessage() for r in caplog.records] == [f"made {tmp_path / 'a.duckdb'} from 1 records"]


def test_a_rebuild_without_records_makes_nothing(tmp_path):
    with pytest.raises(StoreError, match="no records"):
        rebuild(tmp_path / "none" / "heatdrift.duckdb")
    with pytest.raises(StoreError, match="no records"):
        rebuild(tmp_path / "heatdrift.duckdb")
    assert not list(tmp_path.iterdir())


def test_a_database_that_is_a_link_stays_one(tmp_path, make_record):
    runs, disk = tmp_path / "runs", tmp_path / "disk"
    disk.mkdir()
    write_record(make_record(seed=7), runs)
    store = runs / "heatdrift.duckdb"
    store.symlink_to(disk / "real.duckdb")
    for seed in (11, 19):
        ingest.ingest(store)
        assert store.is_symlink()
        assert (disk / "real.duckdb").is_file()
        write_record(make_record(seed=seed), runs)
    assert ingest.ingest(store).added == 1
    assert [path.name for path in disk.iterdir()] == ["real.duckdb"]
