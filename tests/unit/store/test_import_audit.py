"""An import says what it found before it writes; it writes all or nothing, and a dry run nothing at all."""

import pytest
from stubs import find_records

from heatdrift.errors import DataError, StoreError
from heatdrift.store.folder import read_record, write_record
from heatdrift.store.importers import writing
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.guess import plain_name, with_guesses
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.table import import_table

HEAD = "model,dataset,method,learning_rate,seed,val/acc,test_accuracy\n"
ROWS = [f"m,cars,full_ft,1e-5,{seed},{60 + seed},{50 + seed}" for seed in range(4)]


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine"


@pytest.fixture
def bring(tmp_path, mine):
    def run(rows=ROWS, head=HEAD, **options):
        (tmp_path / "t.csv").write_text(head + "\n".join(rows) + "\n")
        return import_table(tmp_path / "t.csv", column_map(), store_folder=mine, study="s", **options)

    return run


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_dry_run_finds_everything_and_writes_nothing(bring, mine):
    rows = [*ROWS, ROWS[0], "m,cars,full_ft,nan,9,60,50"]
    found = bring(rows, dry_run=True)
    assert not mine.exists()
    assert (found.added, found.unchanged, found.doubled, len(found.problems), found.written) == (4, 0, 1, 1, False)
    assert found.audit.rows == 6
    assert found.audit.keys["seed"] == ("0", "1", "2", "3", "9")
    assert found.audit.guessed == ("backbone", "lr", "val_acc_pct", "test_acc_pct")
    assert found.audit.columns["val_acc_pct"] == "val/acc"
    (val,) = [m for m in found.audit.measured if m.name == "val_acc_pct"]
    assert (val.n, val.low, val.high, val.unit) == (6, 60, 63, "%")
    before = []
    real = bring(rows, before=before.append)
    assert before == [found]
    assert (real.added, real.written, real.audit) == (4, True, found.audit)
    again = bring(rows, dry_run=True)
    assert (again.added, again.unchanged) == (0, 4)


def test_what_is_shown_is_shown_before_anything_is_written(bring, mine):
    def stop(_report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(before=stop)
    assert not find_records(mine)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), KeyboardInterrupt()])
def test_an_import_that_fails_half_way_leaves_the_store_as_it_was(bring, mine, monkeypatch, error):
    bring(ROWS[:2])
    earlier = files(mine)
    count = iter(range(10))

    def failing(record, folder):
        if next(count) == 3:
            raise error
        return write_record(record, folder)

    monkeypatch.setattr(writing, "write_record", failing)
    changed = [row.replace(",50", ",40").replace(",51", ",41") for row in ROWS]
    with pytest.raises(type(error)):
        bring(changed, duplicates="last")
    assert files(mine) == earlier
    monkeypatch.undo()
    assert bring(changed, duplicates="last").added == 4


def test_records_of_another_store_come_all_or_not_at_all(tmp_path, mine, make_record, monkeypatch):
    for seed in (1, 2, 3):
        write_record(make_record(seed=seed), tmp_path / "theirs")
    found = import_heatdrift(tmp_path / "theirs", mine, dry_run=True)
    assert (found.added, found.written, mine.exists()) == (3, False, False)
    count = iter(range(10))

    def failing(record, folder):
        if next(count) == 2:
            raise StoreError("the disk is full")
        return write_record(record, folder)

    monkeypatch.setattr(writing, "write_record", failing)
    with pytest.raises(StoreError):
        import_heatdrift(tmp_path / "theirs", mine)
    assert not find_records(mine)


@pytest.mark.parametrize(
    ("theirs", "plain"),
    [
        ("val/acc", "val_acc"),
        ("config.lr", "lr"),
        ("Test Accuracy (%)", "test_accuracy"),
        ("learningRate", "learning_rate"),
        ("params.seed", "seed"),
        ("metrics.val-acc", "val_acc"),
    ],
)
def test_names_are_compared_without_how_they_are_written(theirs, plain):
    assert plain_name(theirs) == plain


def test_a_guess_gives_way_to_what_is_named_and_two_candidates_are_none(bring, mine):
    names = ("val_acc", "val/accuracy", "lr", "learning_rate", "batch_size", "bs")
    columns, guessed, unclear = with_guesses(column_map(["seed=run"]), names)
    assert guessed == ()
    assert columns.source("lr").column == "lr"
    assert columns.source("seed").column == "run"
    assert unclear == ("val_acc_pct could be val_acc or val/accuracy: --map val_acc_pct=COLUMN",)
    head = "model,dataset,method,learning_rate,seed,val_acc_pct,test_accuracy\n"
    assert "val_acc_pct" not in bring(head=head, dry_run=True).audit.guessed


def test_a_key_that_no_column_holds_is_one_error_with_what_to_give(bring):
    with pytest.raises(DataError, match="no value for dataset, method, seed") as caught:
        bring(["m,1e-5,50"], head="model,lr,test_acc\n")
    assert "--map seed=COLUMN (or --set seed=VALUE for all runs)" in caught.value.hint


def test_a_record_that_was_put_back_reads_as_before(bring, mine):
    bring(ROWS[:1])
    assert read_record(find_records(mine)[0]).test_acc_pct == 50.0
