"""MLflow experiments as people log them, made with MLflow itself: no steps, steps from 0, steps that count batches."""

import contextlib

import pytest

from heatdrift.errors import DataError, DuplicateRunsError
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.reading import Choices
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # MLflow's own: its SQL layer uses deprecated parts
]
MAP = ("train_loss=loss", "val_acc_pct=val_acc*100", "test_acc_pct=test_acc*100")


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.fixture
def logged(tmp_path, mine):
    """Log runs with a function of the MLflow module and import them."""
    mlflow = pytest.importorskip("mlflow", reason="the extra heatdrift[mlflow] is not installed")

    def run(log, pairs=MAP, *, parent=False, seeds=(0, 1), **options):
        from heatdrift.store.importers.mlflow import import_mlflow

        uri = f"sqlite:///{tmp_path / 'm.db'}"
        if log is not None:
            mlflow.set_tracking_uri(uri)
            mlflow.set_experiment("clip")
            with mlflow.start_run(run_name="sweep") if parent else contextlib.nullcontext():
                for seed in seeds:
                    params = {"dataset": "cars", "method": "full_ft", "learning_rate": 1e-5, "model": "m", "seed": seed}
                    with mlflow.start_run(nested=parent):
                        mlflow.log_params(params)
                        log(mlflow)
        report = import_mlflow(uri, column_map(pairs), store_folder=mine.parent, study="s", **options)
        ingest(mine)
        return report

    return run


def without_steps(mlflow):
    for epoch in range(3):
        mlflow.log_metric("loss", 1 / (epoch + 1))
        mlflow.log_metric("val_acc", 0.5 + 0.1 * epoch)
    mlflow.log_metric("test_acc", 0.68)


def from_zero(mlflow, loss="loss"):
    for epoch, accuracy in enumerate((0.8, 0.6, 0.5)):
        mlflow.log_metric(loss, 1 / (epoch + 1), step=epoch)
        mlflow.log_metric("val_acc", accuracy, step=epoch)
    mlflow.log_metric("test_acc", 0.68)


def batches(mlflow):
    for step in range(10, 310, 10):
        mlflow.log_metric("loss", 10 / step, step=step)
    for epoch in (1, 2, 3):
        mlflow.log_metric("val_acc", 0.5 + 0.1 * epoch, step=100 * epoch)


RESULTS = "SELECT selected_epoch, round(val_acc_pct, 9), round(test_acc_pct, 9), round(train_loss, 3) FROM runs"


def test_metrics_without_a_step_are_final_values_and_said(logged, mine):
    report = logged(without_steps)
    assert (report.added, report.problems) == (2, ())
    assert report.audit.notes == (
        "logged without a step: loss (3 times) and val_acc (3 times); the latest value is taken as that of the end of "
        "the run",
    )
    assert (report.audit.further, report.ignored) == ((), ())
    assert run_sql(mine, RESULTS).rows() == [(1, 70.0, 68.0, 0.333)] * 2
    assert logged(None).unchanged == 2


def test_steps_from_0_with_a_loss_are_trained_epochs(logged, mine):
    report = logged(from_zero)
    assert "epochs are counted from 0" in report.audit.notes[0]
    assert run_sql(mine, RESULTS).rows() == [(1, 80.0, 68.0, 1.0)] * 2
    assert logged(None).unchanged == 2


def test_steps_from_0_whose_loss_nobody_mapped_are_a_question(logged, mine):
    def log(mlflow):
        from_zero(mlflow, "objective")  # no usual name, so nothing is guessed

    with pytest.raises(DataError, match="an epoch 0 with a validation accuracy"):
        logged(log, MAP[1:])
    assert not mine.exists()
    logged(None, MAP[1:], choices=Choices(epochs_from=0))
    assert run_sql(mine, "SELECT selected_epoch FROM runs")["selected_epoch"].to_list() == [1, 1]


def test_children_of_a_sweep_are_runs_and_steps_that_count_batches_are_said(logged, mine):
    report = logged(batches, parent=True)
    assert (report.added, len(report.problems)) == (2, 1)
    assert "no value for backbone, dataset, method, lr, seed" in report.problems[0].reason
    assert "go from 10 to 300 with gaps: they seem to count batches" in report.audit.notes[0]
    assert run_sql(mine, RESULTS).rows() == [(300, 80.0, None, 0.033)] * 2


def test_a_metric_logged_once_is_of_the_end_and_of_no_other_epoch(logged, mine):
    def log(mlflow):
        for epoch in (1, 2):
            mlflow.log_metric("loss", 1 / epoch, step=epoch)
        mlflow.log_metric("val_acc", 0.7)

    logged(log)
    assert run_sql(mine, RESULTS).rows() == [(2, 70.0, None, 0.5)] * 2
    assert run_sql(mine, "SELECT count(val_acc_pct) n FROM epochs")["n"][0] == 2


@pytest.mark.parametrize(("rule", "accuracy"), [("first", 50.0), ("last", 60.0), ("mean", 55.0)])
def test_runs_of_one_cell_and_seed_need_a_rule(logged, mine, rule, accuracy):
    values = iter((0.5, 0.6))

    def log(mlflow):
        mlflow.log_metric("val_acc", next(values), step=1)

    with pytest.raises(DuplicateRunsError, match="holds 1 run several times with different results") as caught:
        logged(log, MAP[1:2], seeds=(7, 7))
    assert "--duplicates first" in caught.value.hint
    assert not mine.exists()
    for added, unchanged in ((1, 0), (0, 1)):
        report = logged(None, MAP[1:2], duplicates=rule)
        assert (report.added, report.unchanged) == (added, unchanged)
    assert run_sql(mine, "SELECT round(val_acc_pct, 9), duplicates, duplicate_rows FROM runs").rows() == [
        (accuracy, rule, 2)
    ]


@pytest.mark.parametrize(("rule", "accuracy"), [("first", 50.0), ("last", 60.0), ("mean", 55.0)])
def test_a_step_logged_twice_needs_a_rule(logged, mine, rule, accuracy):
    def log(mlflow):
        for number, value in enumerate((0.5, 0.6)):
            mlflow.log_metric("val_acc", value, step=1, timestamp=1_700_000_000_000 + number)

    with pytest.raises(DuplicateRunsError, match="gives an epoch several times"):
        logged(log, MAP[1:2], seeds=(7,))
    report = logged(None, MAP[1:2], duplicates=rule)
    assert (report.added, len(report.duplicates)) == (1, 1)
    assert run_sql(mine, "SELECT round(val_acc_pct, 9) FROM runs").rows() == [(accuracy,)]
