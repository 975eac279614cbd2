"""Tables with several rows a run, as Lightning writes them: what belongs to one epoch, and which row a fault is in."""

import pytest

from heatdrift.errors import DataError, DuplicateRunsError
from heatdrift.store.connect import open_store
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.reading import Choices
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

    def run(text, given=GIVEN, pairs=(), **options):
        store = tmp_path / "mine" / "heatdrift.duckdb"
        (tmp_path / "t.csv").write_text(text)
        report = import_table(
            tmp_path / "t.csv", column_map(pairs, given), store_folder=store.parent, study="s", **options
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
    with pytest.raises(DataError, match="it cannot be both"):
        bring(rows, given=GIVEN[:-1])


CHART = """"Step","full - val/acc","full - val/acc__MIN","full - val/acc__MAX","lora - val/acc","lora - val/acc__MIN",\
"lora - val/acc__MAX","full - train/loss","full - train/loss__MIN","full - train/loss__MAX"
"1","60","60","60","","","","0.9","0.9","0.9"
"2","70","70","70","65","64","66","0.5","0.5","0.5"
"""


def test_a_chart_of_wandb_is_a_row_for_each_run_and_step(bring):
    given = ("backbone=m", "dataset=cars", "lr=1e-5", "seed=0")
    report, ask = bring(CHART, given=given, pairs=("method=Name", "epoch=Step"))
    assert (report.added, report.problems, report.ignored) == (2, (), ())
    assert "a W&B chart of 2 runs, 1 of its values are means of grouped runs" in report.audit.read_as
    found = ask(
        "select method, epoch, e.train_loss, e.val_acc_pct from epochs e join runs using (cell_id) order by 1, 2"
    )
    assert found == [("full", 1, 0.9, 60.0), ("full", 2, 0.5, 70.0), ("lora", 2, None, 65.0)]


def test_a_chart_without_what_tells_its_runs_apart_is_a_question(bring):
    with pytest.raises(DataError, match="no value for backbone, dataset, method, lr, seed") as caught:
        bring(CHART, given=())
    assert "there are: Name, Step, val/acc, train/loss" in str(caught.value)


def test_an_epoch_0_with_a_validation_loss_alone_is_a_question(bring):
    text = "epoch,step,val_loss\n0,1,2.27\n1,3,2.23\n2,5,2.17\n"  # as a public Lightning log has it
    with pytest.raises(DataError, match=r"an epoch 0 with results \(row 1\)"):
        bring(text)
    _, ask = bring(text, choices=Choices(epochs_from=0))
    assert ask("select value from further where metric = 'val_loss'") == [(2.17,)]


WANDB_RUNS = """"Name","State","Notes","User","Tags","Created","Runtime","Sweep","act_bits","batch_size","device",\
"seed","quant_acc"
"w4_a2","finished","-","","","2025-12-13T23:28:41.000Z","45","","2","128","cuda","42","10.34"
"w8_a8","crashed","-","","","2025-12-13T23:11:32.000Z","45","","8","128","cuda","42","96.39"
"""


def test_the_runs_of_a_wandb_project_as_its_page_exports_them(bring):
    given = ("backbone=m", "dataset=cifar10", "lr=0")
    report, ask = bring(WANDB_RUNS, given=given, pairs=("method=Name", "test_acc_pct=quant_acc"))
    assert report.added == 2
    assert report.ignored == ("Notes", "User", "Tags", "Created", "Runtime", "Sweep")
    assert ask("select method, status, test_acc_pct from runs order by 1") == [
        ("w4_a2", "done", 10.34),
        ("w8_a8", "failed", 96.39),
    ]
