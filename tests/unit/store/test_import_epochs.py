"""Tables with several rows a run, as Lightning writes them: what belongs to one epoch, and which row a fault is in."""

import pytest

from heatdrift.errors import DuplicateRunsError
from heatdrift.store.connect import open_store
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest

GIVEN = ("backbone=m", "dataset=cars", "method=full_ft", "lr=1e-5", "seed=0")
LIGHTNING = """epoch,lr-AdamW,step,test_acc,train_loss_epoch,train_loss_step,val_acc
,1e-06,9,,,,
0,,9,,,1.4,
0,,19,,,1.3,
0,,19,,,,61.0
0,,19,,1.35,,
1,,29,,,0.9,
1,,39,,,,72.0
1,,39,,0.85,,
2,,59,,,,70.0
2,,59,,0.55,,
"""


@pytest.fixture
def bring(tmp_path):
    """Import a text as a table; returns the report and a way to ask the store."""

    def run(text, given=GIVEN, **options):
        store = tmp_path / "mine" / "heatdrift.duckdb"
        (tmp_path / "t.csv").write_text(text)
        report = import_table(
            tmp_path / "t.csv", column_map((), given), store_folder=store.parent, study="s", **options
        )

        def ask(sql):
            ingest(store)
            with open_store(store) as connection:
                return connection.execute(sql).fetchall()

        return report, ask

    return run


@pytest.mark.parametrize("test_row", ["3,,60,55.5,,,\n", ",,60,55.5,,,\n"], ids=["next epoch", "no epoch"])
def test_rows_of_training_and_validation_are_one_epoch_and_the_last_row_is_the_test(bring, test_row):
    report, ask = bring(LIGHTNING + test_row)
    assert (report.added, report.problems) == (1, ())
    assert any("epochs are counted from 0" in note for note in report.audit.notes)
    assert ask("select epoch, train_loss, val_acc_pct from epochs order by 1") == [
        (1, 1.35, 61.0),
        (2, 0.85, 72.0),
        (3, 0.55, 70.0),
    ]
    assert ask("select selected_epoch, test_acc_pct from runs") == [(2, 55.5)]
    assert bring(LIGHTNING + test_row)[0].unchanged == 1


def test_a_row_without_an_epoch_that_has_what_epochs_have_is_no_end_of_its_run(bring):
    with pytest.raises(DuplicateRunsError):
        bring("epoch,train_loss,val_acc\n1,0.5,80\n2,0.4,81\n,0.3,90\n")


def test_a_final_row_goes_before_what_epochs_say(bring):
    _, ask = bring("epoch,val_acc,test_acc\n1,80,70\n2,81,71\n,,75.5\n")
    assert ask("select selected_epoch, test_acc_pct from runs") == [(2, 75.5)]


def test_the_same_final_row_of_another_run_is_a_run_of_its_own(bring):
    rows = "seed,epoch,val_acc,test_acc\n0,1,80,\n0,2,81,\n1,,,75.5\n0,,,66\n"
    report, ask = bring(rows, given=GIVEN[:-1])
    assert report.added == 2
    assert ask("select seed, selected_epoch, test_acc_pct from runs order by 1") == [(0, 2, 66.0), (1, 1, 75.5)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("0,3,0.2,abc", "row 5: val_acc_pct is 'abc', not a number"),
        ("0,3,0.2,162", "row 5: not a valid record: 162.0 is not a percentage"),
        ("0,3,x,81", "row 5: train_loss is 'x', not a number"),
    ],
)
def test_the_row_that_is_wrong_is_named(bring, wrong, said):
    head = "seed,epoch,train_loss,val_acc_pct\n"
    rows = ["0,2,0.5,80", "1,1,0.5,80", "1,2,0.4,81", "0,1,0.9,75", wrong]
    report, _ = bring(head + "\n".join(rows) + "\n", given=GIVEN[:-1])
    assert report.added == 1
    (problem,) = report.problems
    assert problem.reason.startswith(said)


def test_another_run_with_an_untrained_epoch_0_is_still_a_contradiction(bring):
    rows = "seed,epoch,train_loss,val_acc_pct\n0,0,,60\n0,0,0.9,\n0,1,0.5,70\n1,0,,55\n1,1,0.5,70\n"
    with pytest.raises(Exception, match="it cannot be both"):
        bring(rows, given=GIVEN[:-1])
