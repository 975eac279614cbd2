"""Import of heatdrift's own runs, tables and MLflow; importing twice is importing once, for each of them."""

import shutil

import duckdb
import msgspec
import polars as pl
import pytest
from stubs import find_records

from heatdrift.errors import DataError, DuplicateRunsError, StoreError, UnknownNameError
from heatdrift.store.bulk_parts import find_parts
from heatdrift.store.check import check_store
from heatdrift.store.export import export_store
from heatdrift.store.folder import attempt_files, read_record, write_arrays, write_record
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest, rebuild
from heatdrift.store.sql import run_sql
from heatdrift.store.validate import record_problem

VIEWS = ("runs", "epochs", "layers", "heads", "transfer", "robustness", "cells")


def view(store, name):
    own = "EXCLUDE (record_sha256)" if name == "runs" else ""
    return run_sql(store, f"SELECT * {own} FROM {name} ORDER BY ALL")


@pytest.fixture
def source(tmp_path, make_record, make_hits):
    """A store of six runs, one of them in two attempts, one failed; with hits."""
    folder = tmp_path / "theirs"
    for method in ("full_ft", "lora_r8"):
        for seed in (7, 11, 19):
            path = write_record(make_record(method=method, seed=seed), folder).path
    write_arrays(path.parent, "hits", make_hits(read_record(path)))
    write_record(make_record(seed=7, test_acc_pct=12.5), folder)
    write_record(make_record(seed=23, status="failed", error="no memory", selected_epoch=None, epochs=()), folder)
    store = folder / "heatdrift.duckdb"
    ingest(store)
    return store


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


def test_records_of_another_store_come_with_attempts_and_arrays_once(source, mine):
    for added, unchanged in ((7, 0), (0, 7)):
        report = import_heatdrift(source.parent, mine.parent)
        assert (report.added, report.unchanged, report.problems) == (added, unchanged, ())
    ingest(mine)
    for name in VIEWS:
        assert view(mine, name).equals(view(source, name)), name
    assert run_sql(mine, "FROM attempts").height == 8
    assert len(list(mine.parent.rglob("hits.npz"))) == 1
    assert not check_store(mine).wrong


def test_one_study_folder_can_be_imported_under_another_name(source, mine):
    assert import_heatdrift(source.parent / "tiny", mine.parent, "renamed").added == 7
    ingest(mine)
    assert run_sql(mine, "SELECT DISTINCT study FROM runs")["study"].to_list() == ["renamed"]


def test_other_results_of_the_same_cell_are_kept_as_attempts_and_reported(source, mine, make_record):
    write_record(make_record(seed=11, test_acc_pct=1.0), mine.parent)
    with pytest.raises(DuplicateRunsError, match="in the store already"):
        import_heatdrift(source.parent, mine.parent)
    report = import_heatdrift(source.parent, mine.parent, duplicates="last")
    assert (report.added, report.repeated) == (7, 1)
    ingest(mine)
    repeated = run_sql(mine, "SELECT test_acc_pct, current FROM attempts WHERE seed = 11 AND method = 'full_ft'")
    assert repeated.sort("test_acc_pct").rows() == [(1.0, False), (71.0, True)]
    assert [f.kind for f in check_store(mine).findings] == ["repeated", "repeated"]  # theirs had one as well
    assert import_heatdrift(source.parent, mine.parent).added == 0


@pytest.mark.parametrize("name", ["export", "export.duckdb"])
def test_an_export_is_imported_without_loss_and_once(source, mine, tmp_path, name):
    export_store(source, tmp_path / name)
    for added, unchanged in ((7, 0), (0, 7)):
        report = import_heatdrift(tmp_path / name, mine.parent)
        assert (report.added, report.unchanged) == (added, unchanged)
        ingest(mine)
    for view_name in VIEWS:
        assert view(mine, view_name).equals(view(source, view_name)), view_name
    mine.unlink()
    assert rebuild(mine).added == 7
    assert view(mine, "runs").equals(view(source, "runs"))
    assert not check_store(mine).wrong


def test_a_record_counts_before_a_part_whichever_came_first(source, mine, tmp_path, make_record):
    export_store(source, tmp_path / "export")
    import_heatdrift(tmp_path / "export", mine.parent)
    ingest(mine)
    write_record(make_record(seed=11, test_acc_pct=1.0), mine.parent)
    assert ingest(mine).added == 1
    query = "SELECT test_acc_pct FROM runs WHERE seed = 11 AND method = 'full_ft'"
    assert run_sql(mine, query)["test_acc_pct"].to_list() == [1.0]
    assert run_sql(mine, "SELECT count(*) n FROM runs")["n"][0] == 7
    report = rebuild(mine)
    assert "1 of its runs are not counted" in report.problems[0].reason
    assert run_sql(mine, query)["test_acc_pct"].to_list() == [1.0]
    assert not check_store(mine).wrong


def test_a_lost_or_changed_part_is_found(source, mine, tmp_path):
    export_store(source, tmp_path / "export")
    import_heatdrift(tmp_path / "export", mine.parent)
    ingest(mine)
    (part,) = find_parts(mine.parent)
    (part.folder / "layers.parquet").write_bytes(b"PAR1")
    assert "layers.parquet changed or gone" in [f.what for f in check_store(mine).findings]
    assert "layers.parquet changed or gone" in rebuild(mine).problems[0].reason
    shutil.rmtree(part.folder)


def test_runs_alone_are_enough_and_their_result_columns_stand_in(mine, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    pl.DataFrame(
        {
            "study": ["s", "s"],
            "cell_id": ["a", "b"],
            "backbone": ["m", "m"],
            "dataset": ["d", "d"],
            "method": ["full_ft", "full_ft"],
            "lr": [1e-5, 1e-4],
            "seed": [1, 1],
            "selected_epoch": [3, 3],
            "val_acc_pct": [50.0, float("nan")],
            "transfer_set": ["c100", "c100"],
            "zero_shot_base_pct": [50.0, 50.0],
            "zero_shot_pct": [40.0, 25.0],
            "n_transfer": [100, 100],
            "surprise": [1, 2],
        }
    ).write_parquet(folder / "runs.parquet")
    import_heatdrift(folder, mine.parent)
    ingest(mine)
    rows = run_sql(mine, "SELECT val_acc_pct, retention_pct, status, origin FROM runs ORDER BY lr").rows()
    assert rows == [(50.0, 80.0, "done", "table"), (None, 50.0, "done", "table")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cell_id": ["a", "a"]}, "several times with different values"),
        ({"cell_id": ["../../etc", "b"]}, "cell_id that cannot be a folder name"),
        ({"study": ["s'; DROP TABLE raw.run; --", "s"]}, "study that cannot be a folder name"),
        ({"lr": [-1.0, 1.0]}, "negative learning rate"),
        ({"seed": ["seven", "eleven"]}, "Could not convert string 'seven'"),
        ({"seed": [None, 1]}, "no backbone, dataset, method, lr or seed"),
        ({"status": ["done", "running"]}, "status other than"),
        ({"test_acc_pct": [0.5, 101.0]}, "outside 0 to 100"),
        ({"method": None}, "no column method"),
    ],
)
def test_a_bad_table_is_refused_and_nothing_is_kept(mine, tmp_path, change, says):
    good = {"study": ["s", "s"], "cell_id": ["a", "b"], "backbone": ["m", "m"], "dataset": ["d", "d"]}
    good |= {"method": ["x", "x"], "lr": [0.1, 0.2], "seed": [1, 1]}
    frame = pl.DataFrame({k: v for k, v in (good | change).items() if v is not None}, strict=False)
    (tmp_path / "table").mkdir()
    frame.write_parquet(tmp_path / "table" / "runs.parquet")
    with pytest.raises(DataError, match=says) as caught:
        import_heatdrift(tmp_path / "table", mine.parent)
    assert caught.value.hint
    assert not list(mine.parent.rglob("*.parquet"))


def test_what_is_not_heatdrifts_is_refused(mine, tmp_path):
    (tmp_path / "x.duckdb").write_text("no database")
    with duckdb.connect(tmp_path / "other.duckdb") as connection:
        connection.execute("CREATE TABLE cats (name VARCHAR)")
    (tmp_path / "empty").mkdir()
    for path, kind in (("x.duckdb", StoreError), ("other.duckdb", DataError), ("empty", DataError), ("no", DataError)):
        with pytest.raises(kind) as caught:
            import_heatdrift(tmp_path / path, mine.parent)
        assert caught.value.hint
    with pytest.raises(StoreError, match="store folder itself"):
        import_heatdrift(tmp_path / "empty", tmp_path / "empty")


CSV = """model,data,how,learning_rate,seed,ep,acc,ent,ent0,l
ViT,pets,lora_r8,1e-5,7,1,0.50,4.0,4.5,"[4.1, 3.9]"
ViT,pets,lora_r8,1e-5,7,2,0.75,3.6,4.5,"[3.7, 3.5]"
ViT,pets,full_ft,1e-5,7,1,0.25,nan,4.5,
ViT,pets,full_ft,1e-5,,1,0.25,4.4,4.5,
ViT,pets,full_ft,1e-5,8,1,high,4.4,4.5,
"""
MAP = ["backbone=model", "dataset=data", "method=how", "lr=learning_rate", "epoch=ep", "val_acc_pct=acc*100"]
MAP += ["entropy=ent", "base_entropy=ent0", "layers_entropy=l"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_table_with_a_column_map_is_imported_once(mine, tmp_path, kind):
    path = tmp_path / f"t.{kind}"
    (tmp_path / "t.csv").write_text(CSV)
    if kind != "csv":
        frame = pl.read_csv(tmp_path / "t.csv", infer_schema=False)
        frame.write_parquet(path) if kind == "parquet" else frame.write_ndjson(path)
    columns = column_map(MAP, ["protocol=theirs"])
    for added, unchanged in ((2, 0), (0, 2)):
        report = import_table(path, columns, store_folder=mine.parent, study="tab")
        assert (report.added, report.unchanged) == (added, unchanged)
        reasons = [p.reason for p in report.problems]
        assert reasons[0] == "row 4: no value for seed (column 'seed' holds '')"
        assert "row 5: " in reasons[1]
        assert "'high'" in reasons[1]
    ingest(mine)
    rows = run_sql(mine, "SELECT method, selected_epoch, val_acc_pct, delta_entropy_pct FROM runs ORDER BY 1").rows()
    assert rows[0] == ("full_ft", 1, 25.0, None)
    assert rows[1][:3] == ("lora_r8", 2, 75.0)
    assert rows[1][3] == pytest.approx(-20.0)
    assert run_sql(mine, "SELECT value FROM layers ORDER BY epoch, layer")["value"].to_list() == [4.1, 3.9, 3.7, 3.5]


def test_the_map_may_stand_in_a_file_and_is_checked(tmp_path):
    (tmp_path / "m.toml").write_text(
        '[columns]\nlr = "learning_rate"\nval_acc_pct = { column = "acc", factor = 100 }\n[constants]\nseed = 3\n'
    )
    found = column_map(["lr=eta"], [], tmp_path / "m.toml")
    assert found.apply({"eta": 0.1, "acc": 0.5, "learning_rate": 9}) == {"lr": 0.1, "val_acc_pct": 50.0, "seed": 3}
    with pytest.raises(UnknownNameError, match="'val_acc'") as unknown:
        column_map(["val_acc=x"])
    assert "val_acc_pct" in unknown.value.hint
    for pairs, file in ((["lr"], None), ([], tmp_path / "none.toml"), ([], tmp_path / "bad.toml")):
        (tmp_path / "bad.toml").write_text("[columns\n")
        with pytest.raises(DataError):
            column_map(pairs, [], file)
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="no column 'eta'"):
        import_table(tmp_path / "t.csv", column_map(["lr=eta"]), store_folder=tmp_path, study="s")
    (tmp_path / "t.parquet").write_text("no")
    with pytest.raises(DataError, match="cannot read"):
        import_table(tmp_path / "t.parquet", column_map(), store_folder=tmp_path, study="s")


def test_hostile_names_in_a_table_stay_values(mine, tmp_path):
    (tmp_path / "t.csv").write_text(
        "backbone,dataset,method,lr,seed,val_acc_pct\n../../x,'; DROP TABLE raw.run; --,$(rm -rf /),1e-5,7,50\n"
    )
    import_table(tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="s")
    ingest(mine)
    assert run_sql(mine, "SELECT backbone, dataset FROM runs").rows() == [("../../x", "'; DROP TABLE raw.run; --")]
    with pytest.raises(StoreError, match="folder name"):
        import_table(tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="../s")
    assert {p.name for p in tmp_path.iterdir()} == {"t.csv", "mine"}


def test_damaged_records_of_another_store_are_reported(source, mine):
    path = find_records(source.parent)[0]
    path.write_bytes(path.read_bytes()[:50])
    report = import_heatdrift(source.parent, mine.parent)
    assert (report.added, len(report.problems)) == (7, 1)  # the attempt is whole
    assert read_record(find_records(mine.parent)[0])
    assert attempt_files(find_records(mine.parent)[0].parent)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own: its SQL layer and its file store are deprecated parts
def test_mlflow_runs_are_imported_once(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow", reason="the extra heatdrift[mlflow] is not installed")
    for number, uri in enumerate((f"sqlite:///{tmp_path / 'm.db'}", str(tmp_path / "mlruns"))):
        client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = client.create_experiment("clip", artifact_location=str(tmp_path / "artifacts"))
        for seed, status in ((7, "FINISHED"), (11, "FAILED"), (19, "RUNNING")):
            run = client.create_run(experiment)
            params = {"model": "ViT-B", "dataset": "pets", "method": "lora_r8", "learning_rate": "1e-5", "seed": seed}
            for name, value in params.items():
                client.log_param(run.info.run_id, name, value)
            for step, (accuracy, entropy) in enumerate(((None, 4.5), (0.5, 4.0), (0.75, 3.6))):
                if accuracy is not None:
                    client.log_metric(run.info.run_id, "val_acc", accuracy, step=step)
                client.log_metric(run.info.run_id, "entropy", entropy, step=step)
            client.log_metric(run.info.run_id, "test_acc_pct", 70.0)
            if status != "RUNNING":
                client.set_terminated(run.info.run_id, status)
        from heatdrift.store.importers.mlflow import import_mlflow

        for added, unchanged in ((2, 0), (0, 2)):
            columns = column_map(["val_acc_pct=val_acc*100"])
            report = import_mlflow(uri, columns, store_folder=mine.parent, study=f"m{number}")
            assert (report.added, report.unchanged, len(report.problems)) == (added, unchanged, 1)
            assert "'running' is not the end of a run" in report.problems[0].reason
    ingest(mine)
    columns = "status, selected_epoch, val_acc_pct, test_acc_pct, round(delta_entropy_pct, 9)"
    for study in ("m0", "m1"):
        rows = run_sql(mine, f"SELECT {columns} FROM runs WHERE study = '{study}' ORDER BY seed").rows()
        assert rows[0] == ("done", 2, 75.0, 70.0, -20.0)
        assert rows[1][0] == "failed"
    with pytest.raises(DataError):
        import_mlflow(f"sqlite:///{tmp_path}/nowhere.db", column_map(), store_folder=mine.parent, study="x")


def test_without_mlflow_the_error_names_the_extra(mine, monkeypatch):
    import sys

    from heatdrift.store.importers.mlflow import import_mlflow

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(DataError, match="not installed") as caught:
        import_mlflow("mlruns", column_map(), store_folder=mine.parent, study="x")
    assert "heatdrift[mlflow]" in caught.value.hint


def test_a_record_imported_from_a_table_round_trips(mine, tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    import_table(tmp_path / "t.csv", column_map(MAP), store_folder=mine.parent, study="tab")
    for path in find_records(mine.parent):
        record = read_record(path)
        assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


@pytest.mark.parametrize("column", ["backbone", "dataset", "method", "transfer_set"])
def test_control_characters_in_names_are_refused(mine, tmp_path, column):
    row = {"backbone": "m", "dataset": "cars", "method": "lora", "lr": 1e-5, "seed": 7, "val_acc_pct": 50.0}
    row |= {"transfer_set": "cifar100", "zero_shot_pct": 40.0, "n_transfer": 1000}
    for name, value in (("t.csv", "a\x1b[31mb"), ("u.csv", "a\u009bb")):
        pl.DataFrame([row | {column: value}]).write_csv(tmp_path / name)
        report = import_table(tmp_path / name, column_map(), store_folder=mine.parent, study="s")
        assert report.added == 0
        assert "control character" in report.problems[0].reason


def test_control_characters_in_names_of_a_record_are_a_problem(make_record):
    record = make_record(seed=7)
    cell = msgspec.structs.replace(record.cell, dataset="a\x1b[31mb")
    evil = msgspec.structs.replace(record, cell=cell, cell_id=cell.cell_id)
    assert record_problem(record) is None
    assert "control character" in record_problem(evil)


@pytest.mark.parametrize("value", ["a\x1b[31mb", "a\u009bb", "a\ufffeb", "a\nb"])
def test_control_characters_in_names_of_an_export_are_refused(source, mine, tmp_path, value):
    out = tmp_path / "out"
    export_store(source, out)
    runs = pl.read_parquet(out / "runs.parquet").with_columns(dataset=pl.lit(value))
    runs.write_parquet(out / "runs.parquet")
    with pytest.raises(DataError, match="control character"):
        import_heatdrift(out, mine.parent)
