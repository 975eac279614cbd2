"""How long the chosen cells take, by those that are finished, or by steps that are measured."""

import time

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.cli.time_left import by_finished, by_measuring
from heatdrift.cli.workspace import planned_cells
from heatdrift.plan.study import load_study
from heatdrift.train import estimate as estimate_module
from heatdrift.train.estimate import Estimate, cell_seconds, estimate
from heatdrift.train.inputs import ImageCounts, image_counts
from heatdrift.train.status import CellState, time_left_s


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return planned_cells(load_study("demo"), tmp_path_factory.mktemp("none"))


def states(cells, finished, wall_s, device=None):
    return [
        CellState(
            cell=c,
            status="done" if i < finished else "planned",
            wall_s=wall_s if i < finished else None,
            device=device if i < finished else None,
        )
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
    assert by_finished(known, cells[20:], at_once=None) == "about 60 min (by 20 finished cells), one after the other"
    assert by_finished(known, cells[20:], at_once=4) == "about 15 min (by 20 finished cells), 4 at once"
    assert by_finished(known, cells, at_once=1) == "about 80 min (by 20 finished cells), 1 at once"  # --force: all
    assert by_finished(states(cells, 0, 0.0), cells, at_once=None) is None


def test_cells_of_two_devices_are_two_estimates(cells):
    mixed = [*states(cells[:10], 10, 60.0, "cpu"), *states(cells[10:20], 10, 6.0, "cuda"), *states(cells[20:], 0, 0.0)]
    left = cells[20:]
    both = "about 60 min on cpu (by 10 finished cells) and about 6 min on cuda (by 10 finished cells)"
    assert by_finished(mixed, left, at_once=None) == f"{both}, one after the other"
    on_cuda = by_finished(mixed, left, at_once=None, device="cuda")
    assert on_cuda == "about 6 min on cuda (by 10 finished cells), one after the other"
    assert by_finished(mixed, left, at_once=None, device="mps") == f"{both}, one after the other"


def test_a_cell_takes_what_its_passes_take(tiny_inputs):
    study = load_study(str(tiny_inputs / "study.toml"))
    cell = planned_cells(study, tiny_inputs)[0]
    counts = image_counts(study, tiny_inputs, ["stripes"])["stripes"]
    assert counts == ImageCounts(train=18, val=12, probe=9, test=18, transfer=30, tracked=10)
    rates = {"train/full_ft": 1.0, "evaluate": 100.0, "probe": 10000.0}
    assert cell.recipe.epochs == 2
    assert cell_seconds(cell, counts, rates) == 2 * 18 + 100 * (2 * (12 + 10) + 18 + 30) + 10000 * 2 * 9


def test_steps_are_measured_in_a_process_of_their_own(tiny_inputs):
    study = load_study(str(tiny_inputs / "study.toml"))
    cells = planned_cells(study, tiny_inputs)
    found = estimate(cells, study, tiny_inputs, device="cpu", limit_s=120)
    assert found.problem is None
    assert found.device == "cpu"
    assert found.unmeasured == ()
    assert found.seconds > 0
    half = estimate(cells[:1], study, tiny_inputs, device="cpu", limit_s=120)
    assert half.seconds < found.seconds


def test_measuring_never_takes_longer_than_it_may(tiny_inputs, monkeypatch):
    """A process that hangs is ended; nothing is made up."""
    monkeypatch.setattr(estimate_module, "_measure", _hang)
    study = load_study(str(tiny_inputs / "study.toml"))
    started = time.monotonic()
    found = estimate(planned_cells(study, tiny_inputs), study, tiny_inputs, device="cpu", limit_s=1.0)
    assert time.monotonic() - started < 60  # the process would take an hour
    assert (found.seconds, found.problem) == (None, "1 s did not suffice to measure steps")


def _hang(*_arguments):
    time.sleep(3600)


def test_methods_that_there_was_no_time_for_count_as_the_slowest(tiny_inputs, monkeypatch):
    study = load_study(str(tiny_inputs / "study.toml"))
    cells = planned_cells(study, tiny_inputs)
    ready = estimate_module.Ready(device="cpu", counts=image_counts(study, tiny_inputs, ["stripes", "hues"]))
    rates = {"train/full_ft": 1.0, "evaluate": 0.0, "probe": 0.0}
    found = estimate_module._Found(ready=ready, rates=rates)
    monkeypatch.setattr(estimate_module, "_measured", lambda *_: found)
    result = estimate(cells, study, tiny_inputs, device="cpu")
    assert result.unmeasured == ("lora_r8",)
    assert result.seconds == sum(2 * ready.counts[cell.dataset].train for cell in cells)


def test_what_is_not_here_is_said(tmp_path, tiny_inputs):
    study = load_study(str(tiny_inputs / "study.toml"))
    text = by_measuring(planned_cells(study, tiny_inputs), study, tmp_path, device="cpu")
    assert text.startswith("not known how long (")
    assert "there is no file" in text


def test_plan_and_a_dry_run_measure_where_asked_and_nothing_is_finished(tiny_inputs, tmp_path, monkeypatch):
    asked = []

    def fake(cells, _study, _folder, *, device, threads):
        asked.append((len(cells), device, threads))
        return Estimate(seconds=7200.0, took_s=12.0, device="cpu", unmeasured=("lora_r8",))

    monkeypatch.setattr("heatdrift.train.estimate.estimate", fake)
    study = ("--study", str(tiny_inputs / "study.toml"), "--store", str(tmp_path / "runs" / "x.duckdb"))
    said = CliRunner().invoke(app, ["plan", *study, "--measure"]).stderr
    assert "left: about 2 h 0 min on cpu, one after the other (by steps measured for 12 s" in said
    assert "in that time not lora_r8, taken as slow as the slowest" in said
    dry = ["train", "--all", "--dry-run", "--data-dir", str(tiny_inputs), *study]
    said = CliRunner().invoke(app, [*dry, "--measure", "--jobs", "4", "--device", "cpu", "--threads", "2"]).stderr
    assert "24 of 24 chosen cells would run; about 30 min on cpu, 4 at once" in said
    assert asked == [(24, "auto", 1), (24, "cpu", 2)]
    assert "with --measure" in CliRunner().invoke(app, dry).stderr
    assert "left" not in CliRunner().invoke(app, ["plan", *study]).stderr
    assert len(asked) == 2
