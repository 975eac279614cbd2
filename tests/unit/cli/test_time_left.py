"""How long the chosen cells take, by those that are finished."""

import pytest

from heatdrift.cli.train import _how_long
from heatdrift.cli.workspace import planned_cells
from heatdrift.plan.study import load_study
from heatdrift.train.status import CellState, time_left_s


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return planned_cells(load_study("demo"), tmp_path_factory.mktemp("none"))


def states(cells, finished, wall_s):
    return [
        CellState(cell=c, status="done" if i < finished else "planned", wall_s=wall_s if i < finished else None)
        for i, c in enumerate(cells)
    ]


def test_the_time_left_is_that_of_finished_cells_over_the_workers(cells):
    known = states(cells, 20, 60.0)
    assert time_left_s(known, workers=1) == pytest.approx(60 * 60)
    assert time_left_s(known, workers=4) == pytest.approx(15 * 60)
    assert time_left_s(known, workers=1000) == pytest.approx(60)  # no faster than one cell
    assert time_left_s(known) == time_left_s(known, workers=1)  # nothing runs now


def test_a_dry_run_says_how_long(cells):
    known = states(cells, 20, 60.0)
    assert _how_long(known, cells[20:], None) == ", in about 60 min one after the other (by 20 finished cells)"
    assert _how_long(known, cells[20:], 4) == ", in about 15 min 4 at once (by 20 finished cells)"
    assert _how_long(known, cells, 1) == ", in about 80 min 1 at once (by 20 finished cells)"  # --force: all again
    assert _how_long(states(cells, 0, 0.0), cells, None) == "; how long shows when the first is finished"
    assert _how_long(known, (), None) == ""
