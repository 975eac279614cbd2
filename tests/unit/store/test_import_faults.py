"""Faults that a reader of the importers found in tables of their own: each was silent, or a traceback."""

import pytest

from heatdrift.errors import DataError
from heatdrift.store.connect import open_store
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest

HEAD = "dataset,method,lr,seed"


@pytest.fixture
def bring(tmp_path):
    """Import a text as a table; returns the report and a way to ask the store."""

    def run(text, *, name="t.csv", **constants):
        path, store = tmp_path / name, tmp_path / "mine" / "heatdrift.duckdb"
        path.write_text(text)
        given = [f"{ours}={value}" for ours, value in {"backbone": "m", **constants}.items()]
        report = import_table(path, column_map((), given), store_folder=store.parent, study="s")

        def ask(sql):
            ingest(store)
            with open_store(store) as connection:
                return connection.execute(sql).fetchall()

        return report, ask

    return run


def test_runs_under_common_names_are_no_reference_points(bring):
    report, ask = bring(
        "model,dataset,ft_method,learning_rate,random_seed,accuracy\nm,cars,full_ft,1e-5,0,0.9\nm,cars,lora,1e-4,1,0.8\n"
    )
    assert report.what == "run"
    assert ask("select method, lr, seed from runs order by all") == [("full_ft", 1e-5, 0), ("lora", 1e-4, 1)]


@pytest.mark.parametrize(
    "rows", ["m,cars,0.55,92.0\nm,pets,0.57,93.0\n", "m,cars,55,92.0\nm,pets,0.57,93.0\n"], ids=["columns", "rows"]
)
def test_fractions_among_percentages_of_models_are_a_question(bring, rows):
    with pytest.raises(DataError, match="are they fractions"):
        bring(f"model,dataset,acc1,acc5\n{rows}")


def test_several_values_of_one_model_are_said(bring):
    report, _ = bring("model,dataset,acc1\nm,cars,55\nm,cars,57\nm,pets,60\n")
    assert "several different values, all kept: “zero_shot_pct of m on cars”" in report.audit.notes


def test_a_result_of_another_epoch_is_not_that_of_the_selected_one(bring):
    rows = ["0,1,1.0,80,81,60,7", "0,2,0.5,90,,,", "0,3,0.2,85,70,40,9"]
    report, ask = bring(
        f"{HEAD},epoch,train_loss,val_acc_pct,test_acc_pct,zero_shot_pct,other\n"
        + "".join(f"cars,full_ft,1e-5,{row}\n" for row in rows),
        transfer_set="cifar100", n_transfer="1000", zero_shot_base_pct="62",
    )  # fmt: skip
    assert report.added == 1
    assert ask("select selected_epoch, test_acc_pct, zero_shot_pct from runs") == [(2, None, None)]
    assert ask("select value from further where metric = 'other'") == []


def test_a_result_of_every_epoch_counts_at_the_selected_one(bring):
    rows = ["0,1,1.0,80,81,60", "0,2,0.5,90,83,50", "0,3,0.2,85,70,40"]
    _, ask = bring(
        f"{HEAD},epoch,train_loss,val_acc_pct,test_acc_pct,zero_shot_pct\n"
        + "".join(f"cars,full_ft,1e-5,{row}\n" for row in rows),
        transfer_set="cifar100", n_transfer="1000", zero_shot_base_pct="62",
    )  # fmt: skip
    assert ask("select selected_epoch, test_acc_pct, zero_shot_pct from runs") == [(2, 83.0, 50.0)]


def test_an_infinite_result_is_said(bring):
    report, ask = bring(f"{HEAD},test_acc_pct\ncars,full_ft,1e-5,0,90\ncars,full_ft,1e-5,1,inf\n")
    assert "test_acc_pct: 1 infinite value (row 2) stored as missing" in report.audit.notes
    assert ask("select seed, test_acc_pct from runs order by all") == [(0, 90.0), (1, None)]


def test_a_value_for_all_rows_that_overrules_a_column_is_said(bring):
    report, _ = bring(f"{HEAD},backbone,test_acc_pct\ncars,full_ft,1e-5,0,other,90\ncars,full_ft,1e-5,1,third,91\n")
    assert (
        "backbone is m for all rows, though a column 'backbone' says otherwise (2 other values)" in report.audit.notes
    )


GOOD = '{"dataset": "cars", "method": "full_ft", "lr": 1e-5, "seed": 9, "test_acc_pct": 90}'


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", f"{HEAD},epoch,val_acc_pct\ncars,full_ft,1,0,inf,80\ncars,full_ft,1,1,1,80\n", "epoch is 'inf'"),
        ("t.json", f'[{GOOD.replace("9,", "0, {TIME},")}, {GOOD}]'.replace("{TIME}", '"started_at": 1e30'),
         "started_at is 1e+30, not a time"),
        ("t.json", f'[{GOOD.replace("full_ft", "lora{HALF}")}, {GOOD}]'.replace("{HALF}", "\\ud800"), "no text"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_costs_its_row_only(bring, name, text, said):
    report, _ = bring(text, name=name)
    assert report.added == 1
    (problem,) = report.problems
    assert said in problem.reason


def test_settings_of_training_that_are_not_kept_or_not_given_are_said(bring):
    report, ask = bring(f"{HEAD},batch_size,weight_decay,test_acc_pct\ncars,full_ft,1e-5,0,64,0.1,90\n")
    assert (
        "batch_size and weight_decay kept as further metrics, because there is no epochs: runs are not told apart by it"
        in report.audit.notes
    )
    assert ask("select metric, value from further order by 1") == [("batch_size", 64.0), ("weight_decay", 0.1)]
    report, ask = bring(f"{HEAD},epochs,batch_size,test_acc_pct\ncars,full_ft,1e-5,1,6,64,90\n", name="u.csv")
    assert "weight_decay is not given: runs are stored without one" in report.audit.notes
    assert ask("select batch_size, weight_decay from runs where seed = 1") == [(64, None)]
    report, _ = bring(f"{HEAD},test_acc_pct\ncars,full_ft,1e-5,2,90\n", name="v.csv")
    assert not any("not kept" in note or "weight_decay" in note for note in report.audit.notes)
