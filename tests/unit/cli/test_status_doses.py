"""The small drawings of `heatdrift status`: what finished cells have kept, along the learning rates."""

import msgspec
import pytest

from heatdrift.cli.status_doses import MOST, dose_lines
from heatdrift.store.folder import current_record
from heatdrift.train.status import CellState, cell_states


@pytest.fixture(scope="module")
def record(trained):
    path = next(iter(sorted(trained.glob("tiny/*/record.json"))))
    return current_record(path.parent)


def state(record, lr, seed, status="done", **values):
    return CellState(cell=msgspec.structs.replace(record.cell, lr=lr, seed=seed), status=status, **values)


def test_a_line_has_the_means_over_finished_seeds_and_a_dot_for_a_rate_without_any(record):
    states = [
        state(record, 1e-5, 1, retention_pct=90.0), state(record, 1e-5, 2, retention_pct=100.0),
        state(record, 1e-4, 1, status="running"), state(record, 1e-3, 1, retention_pct=20.0),
        state(record, 1e-3, 2, status="diverged"),
    ]  # fmt: skip
    head, line = dose_lines(states, "s")
    assert "zero-shot retention" in head
    assert "█·▁" in line
    assert "95.0 at 1e-5 to 20.0 at 1e-3" in line


def test_without_retention_the_accuracy_is_drawn_and_without_both_nothing(record):
    accuracies = [state(record, 1e-5, 1, test_acc_pct=50.0), state(record, 1e-4, 1, test_acc_pct=75.0)]
    head, line = dose_lines(accuracies, "s")
    assert "test accuracy" in head
    assert "50.0 at 1e-5 to 75.0 at 1e-4" in line
    assert list(dose_lines([state(record, 1e-5, 1), state(record, 1e-4, 1)], "s")) == []
    assert list(dose_lines(accuracies[:1], "s")) == []  # one rate is no curve
    assert list(dose_lines([], "s")) == []


def test_a_large_grid_is_cut_and_the_command_that_has_the_rest_is_named(record):
    states = []
    for i in range(MOST + 3):
        for lr in (1e-5, 1e-4):
            one = state(record, lr, 1, retention_pct=50.0)
            states.append(msgspec.structs.replace(one, cell=msgspec.structs.replace(one.cell, dataset=f"d{i}")))
    lines = list(dose_lines(states, "wide"))
    assert len(lines) == MOST + 2
    assert "3 more groups: heatdrift stats dose --study wide" in lines[-1]
    assert all(len(line) < 80 for line in lines)


def test_a_finished_cell_has_what_its_record_says(record, trained):
    (found,) = cell_states([record.cell], study="tiny", store_folder=trained)
    first = record.transfer[0]
    assert found.retention_pct == pytest.approx(100 * first.adapted_pct / first.base_pct)
    assert found.test_acc_pct == record.test_acc_pct
