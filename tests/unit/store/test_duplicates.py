"""Rows of one cell and seed with different results: nothing is chosen silently, and what was chosen stays visible."""

import polars as pl
import pytest
from stubs import find_records

from heatdrift.errors import DuplicateRunsError
from heatdrift.questions.selection import select_runs
from heatdrift.store.folder import read_record, write_record
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql

HEAD = "backbone,dataset,method,lr,seed,val_acc_pct,test_acc_pct"
ROWS = ("m,pets,full_ft,1e-5,7,50,40", "m,pets,full_ft,1e-5,7,60,70", "m,pets,full_ft,1e-5,11,55,50")
ALL = "SELECT seed, val_acc_pct, test_acc_pct, duplicate_rows, duplicates FROM runs ORDER BY seed"


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.fixture
def bring(tmp_path, mine):
    """Import rows of a table and ingest them."""

    def run(*rows, head=HEAD, columns=(), **options):
        (tmp_path / "t.csv").write_text("\n".join((head, *rows)) + "\n")
        report = import_table(tmp_path / "t.csv", column_map(columns), store_folder=mine.parent, study="tab", **options)
        ingest(mine)
        return report

    return run


def test_different_results_of_one_cell_and_seed_are_refused_and_nothing_is_written(bring, mine):
    with pytest.raises(DuplicateRunsError) as caught:
        bring(*ROWS)
    assert "row 1 and row 2" in caught.value.message
    assert "test_acc_pct 40 and 70" in caught.value.message
    assert "pets, full_ft, lr 1e-5, seed 7" in caught.value.message
    assert "--duplicates first" in caught.value.hint
    assert not find_records(mine.parent)


@pytest.mark.parametrize(("rule", "val", "test"), [("first", 50.0, 40.0), ("last", 60.0, 70.0), ("mean", 55.0, 55.0)])
def test_a_rule_decides_and_is_kept_with_the_run(bring, mine, rule, val, test):
    for added, unchanged in ((2, 0), (0, 2)):
        report = bring(*ROWS, duplicates=rule)
        assert (report.added, report.unchanged, report.doubled) == (added, unchanged, 0)
        (said,) = report.duplicates
        assert "row 1 and row 2" in said
    assert run_sql(mine, ALL).rows() == [(7, val, test, 2, rule), (11, 55.0, 50.0, None, None)]
    (left_out, *_) = select_runs(run_sql(mine, "FROM runs"), ["test_acc_pct"]).left_out
    assert "1 run" in left_out
    assert "pets, full_ft, lr 1e-5, seed 7" in left_out
    assert {"first": "the first", "last": "the last", "mean": "the mean"}[rule] in left_out


def test_identical_rows_are_one_run_and_said(bring, mine):
    report = bring(ROWS[0], ROWS[0], ROWS[2])
    assert (report.added, report.doubled, report.duplicates) == (2, 1, ())
    assert run_sql(mine, ALL)["duplicates"].to_list() == [None, None]


def test_a_failed_run_and_its_repetition_are_no_conflict(bring, mine):
    head = f"{HEAD},status"
    report = bring("m,pets,full_ft,1e-5,7,,,failed", "m,pets,full_ft,1e-5,7,60,70,done", head=head)
    assert report.duplicates == ()
    assert run_sql(mine, "SELECT status, test_acc_pct, duplicates FROM runs").rows() == [("done", 70.0, None)]


def test_a_mean_is_taken_of_the_same_epoch_only(bring):
    head = f"{HEAD},selected_epoch"
    with pytest.raises(DuplicateRunsError, match="selected epoch"):
        bring("m,pets,full_ft,1e-5,7,50,40,2", "m,pets,full_ft,1e-5,7,60,70,3", head=head, duplicates="mean")


EPOCHS = "backbone,dataset,method,lr,seed,epoch,val_acc_pct,train_loss"
TWICE = (
    "m,pets,full_ft,1e-5,7,1,50,2",
    "m,pets,full_ft,1e-5,7,2,70,1",
    "m,pets,full_ft,1e-5,7,1,60,2",
    "m,pets,full_ft,1e-5,7,2,80,1",
)


def test_epochs_given_twice_are_refused_or_settled_by_the_rule(bring, mine):
    with pytest.raises(DuplicateRunsError, match="epoch 1 is given 2 times, with val_acc_pct 50 and 60"):
        bring(*TWICE, head=EPOCHS)
    for rule, kept in (("first", [50.0, 70.0]), ("last", [60.0, 80.0])):
        bring(*TWICE, head=EPOCHS, duplicates=rule)
        found = run_sql(
            mine, "SELECT e.val_acc_pct, r.duplicates FROM epochs e JOIN runs r USING (study, cell_id) ORDER BY 1"
        )
        assert found.rows() == [(value, rule) for value in kept]
        for path in find_records(mine.parent):
            path.unlink()
            for attempt in path.parent.glob("attempts/*.json"):
                attempt.unlink()
    bring(*TWICE, head=EPOCHS, duplicates="mean")
    assert read_record(find_records(mine.parent)[0]).epochs[1].val_acc_pct == 75.0


def test_rows_of_one_epoch_that_complete_each_other_are_one_epoch(bring, mine):
    bring("m,pets,full_ft,1e-5,7,1,50,", "m,pets,full_ft,1e-5,7,1,,2", head=EPOCHS)
    assert run_sql(mine, "SELECT val_acc_pct, train_loss FROM epochs").rows() == [(50.0, 2.0)]
    assert run_sql(mine, "SELECT duplicates FROM runs").rows() == [(None,)]


def test_a_result_that_every_epoch_has_is_that_of_the_selected_epoch(bring, mine):
    """The last row's test accuracy was taken though epoch 1 was selected."""
    head = EPOCHS.replace("train_loss", "test_acc_pct")
    bring("m,pets,full_ft,1e-5,7,1,80,79", "m,pets,full_ft,1e-5,7,2,50,49", head=head)
    assert run_sql(mine, "SELECT selected_epoch, test_acc_pct FROM runs").rows() == [(1, 79.0)]


def test_other_values_of_a_run_that_is_there_already_are_refused(bring, mine):
    bring(ROWS[0], ROWS[2])
    with pytest.raises(DuplicateRunsError, match="in the store already") as caught:
        bring(ROWS[1], ROWS[2])
    assert "--duplicates last" in caught.value.hint
    report = bring(ROWS[1], ROWS[2], duplicates="first")
    assert (report.added, report.unchanged, report.kept) == (0, 1, 1)
    assert run_sql(mine, ALL)["test_acc_pct"].to_list() == [40.0, 50.0]
    report = bring(ROWS[1], ROWS[2], duplicates="last")
    assert (report.added, report.repeated) == (1, 1)
    runs = run_sql(mine, "FROM runs ORDER BY seed")
    assert runs["test_acc_pct"].to_list() == [70.0, 50.0]
    assert runs["n_results"].to_list() == [2, 1]
    (left_out, *_) = select_runs(runs, ["test_acc_pct"]).left_out
    assert "1 run" in left_out
    assert "attempt" in left_out
    with pytest.raises(DuplicateRunsError, match="cannot be averaged with what the store has"):
        bring("m,pets,full_ft,1e-5,7,50,41", duplicates="mean")


def test_two_studies_that_become_one(tmp_path, mine, make_record):
    theirs = tmp_path / "theirs"
    write_record(make_record(study="a", test_acc_pct=40.0), theirs)
    write_record(make_record(study="b", test_acc_pct=70.0), theirs)
    with pytest.raises(DuplicateRunsError, match=r"a/c1-.* and b/c1-"):
        import_heatdrift(theirs, mine.parent, "one")
    assert not find_records(mine.parent)
    for rule, kept in (("first", 40.0), ("last", 70.0), ("mean", 55.0)):
        folder = tmp_path / rule
        assert import_heatdrift(theirs, folder, "one", duplicates=rule).added == 1
        assert import_heatdrift(theirs, folder, "one", duplicates=rule).added == 0
        record = read_record(find_records(folder)[0])
        assert (record.test_acc_pct, record.duplicates.rule, record.duplicates.rows) == (kept, rule, 2)


def test_a_later_attempt_of_the_same_cell_is_no_conflict(tmp_path, mine, make_record):
    theirs = tmp_path / "theirs"
    write_record(make_record(test_acc_pct=40.0), theirs)
    import_heatdrift(theirs, mine.parent)
    write_record(make_record(test_acc_pct=70.0), theirs)  # trained again there
    assert import_heatdrift(theirs, mine.parent).added == 1
    assert read_record(find_records(mine.parent)[0]).test_acc_pct == 70.0


GOOD = {"study": ["s"] * 3, "cell_id": ["a", "a", "b"], "backbone": ["m"] * 3, "dataset": ["d"] * 3}
GOOD |= {"method": ["x"] * 3, "lr": [1e-5, 1e-5, 0.2], "seed": [1, 1, 1], "test_acc_pct": [40.0, 70.0, 50.0]}
GOOD |= {"selected_epoch": [1, 1, 1]}


@pytest.mark.parametrize(("rule", "kept"), [("first", 40.0), ("last", 70.0), ("mean", 55.0)])
def test_a_bulk_table_with_a_key_twice(tmp_path, mine, rule, kept):
    folder = tmp_path / "bulk"
    folder.mkdir()
    pl.DataFrame(GOOD).write_parquet(folder / "runs.parquet")
    epochs = {"study": ["s"] * 3, "cell_id": ["a", "a", "b"], "epoch": [1, 1, 1], "val_acc_pct": [40.0, 70.0, 50.0]}
    pl.DataFrame(epochs).write_parquet(folder / "epochs.parquet")
    with pytest.raises(DuplicateRunsError, match="s/a"):
        import_heatdrift(folder, mine.parent)
    report = import_heatdrift(folder, mine.parent, duplicates=rule)
    assert (report.added, len(report.duplicates)) == (2, 1)
    ingest(mine)
    rows = run_sql(mine, "SELECT cell_id, lr, test_acc_pct, val_acc_pct, duplicates FROM runs ORDER BY 1").rows()
    assert rows == [("a", 1e-5, kept, kept, rule), ("b", 0.2, 50.0, 50.0, None)]


def test_identical_rows_of_a_bulk_table_are_one_run(tmp_path, mine):
    folder = tmp_path / "bulk"
    folder.mkdir()
    pl.DataFrame(GOOD | {"test_acc_pct": [40.0, 40.0, 50.0]}).write_parquet(folder / "runs.parquet")
    report = import_heatdrift(folder, mine.parent)
    assert (report.added, report.doubled, report.duplicates) == (2, 1, ())
    ingest(mine)
    assert run_sql(mine, "SELECT count(*) n FROM runs")["n"][0] == 2


def test_epochs_of_a_bulk_table_with_a_key_twice_are_refused(tmp_path, mine):
    folder = tmp_path / "bulk"
    folder.mkdir()
    pl.DataFrame(GOOD | {"cell_id": ["a", "c", "b"]}).write_parquet(folder / "runs.parquet")
    epochs = {"study": ["s"] * 2, "cell_id": ["a", "a"], "epoch": [1, 1], "val_acc_pct": [40.0, 70.0]}
    pl.DataFrame(epochs).write_parquet(folder / "epochs.parquet")
    with pytest.raises(DuplicateRunsError, match="epochs"):
        import_heatdrift(folder, mine.parent)
    assert not list(mine.parent.rglob("*.parquet"))


def test_a_source_that_says_more_of_the_recipe_needs_a_rule_and_changes_no_result(tmp_path):
    head, row = "backbone,dataset,method,lr,seed,test_acc_pct", "m,cars,lora,1e-4,1,60"

    def bring(head, row, **options):
        (tmp_path / "t.csv").write_text(f"{head}\n{row}\n")
        store = tmp_path / "partial" / "heatdrift.duckdb"
        report = import_table(tmp_path / "t.csv", column_map(), store_folder=store.parent, study="s", **options)
        ingest(store)
        return report, run_sql(store, "SELECT last_epoch, test_acc_pct FROM runs").rows()

    assert bring(head, row)[1] == [(1, 60)]
    with pytest.raises(DuplicateRunsError, match=r"another recipe.*1 and 10; the results are the same") as caught:
        bring(f"{head},epochs", f"{row},10")
    assert "--duplicates last" in caught.value.hint
    assert bring(f"{head},epochs", f"{row},10", duplicates="first")[1] == [(1, 60)]
    assert bring(f"{head},epochs", f"{row},10", duplicates="last")[1] == [(10, 60)]
    with pytest.raises(DuplicateRunsError, match="with other results"):
        bring(f"{head},epochs", f"{row[:-2]}61,10")
