"""What a page learns from the kept plan: the choices of the recipes behind its runs."""

import polars as pl
import pytest

from heatdrift.cli.report_input import _choices
from heatdrift.cli.workspace import KeptPlan, planned_cells
from heatdrift.plan.study import load_study


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    study = load_study("preprint80")
    return KeptPlan(study=study, cells=planned_cells(study, tmp_path_factory.mktemp("none")))


def runs(*cell_ids, status="done"):
    return pl.DataFrame({"cell_id": cell_ids, "status": [status] * len(cell_ids)})


def test_the_choices_are_those_of_the_cells_that_finished(plan):
    found = _choices(plan, runs(*(cell.cell_id for cell in plan.cells[:3])))
    assert found == {name: (value,) for name, value in plan.cells[0].recipe.choices.items()}
    assert found["classifier at the start"] == ("torch",)


def test_a_run_that_the_plan_does_not_have_leaves_them_unknown(plan):
    """Its recipe may be another: an earlier version of the study, or an imported run."""
    assert _choices(plan, runs(plan.cells[0].cell_id, "c1-imported")) == {}
    assert _choices(None, runs(plan.cells[0].cell_id)) == {}
    assert _choices(plan, runs(plan.cells[0].cell_id, status="failed")) == {}
