"""A run that is interrupted anywhere goes on within its epoch, and gives the same numbers, bit for bit."""

import msgspec
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train import fast_paths
from heatdrift.train.cell import run_cell
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.interrupt import Interrupted, Interruption
from heatdrift.train.resources import Resources

STEPS = 6  # two epochs of 18 images in batches of 8
METHODS = ("full_ft", "lora_r8", "linear_probe", "last_block")


class AfterSteps(Interruption):
    """Asks for the end after `n` steps."""

    def __init__(self, n):
        super().__init__()
        self.n = n

    def requested(self):
        self.n -= 1
        if self.n == 0:
            self.request("SIGTERM")
        return super().requested()


class AtLook(Interruption):
    """Asks for the end when it is looked at for the `n`-th time, between steps or between batches."""

    def __init__(self, n):
        super().__init__()
        self.n = n

    def requested(self):
        self._look()
        return super().requested()

    def check(self):
        self._look()
        super().check()

    def _look(self):
        self.n -= 1
        if self.n == 0:
            self.request("SIGTERM")


@pytest.fixture(scope="module")
def study(tiny_inputs, tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.toml"
    text = (tiny_inputs / "study.toml").read_text()
    path.write_text(text.replace('method = ["full_ft", "lora_r8"]', f"method = {list(METHODS)}"))
    return load_study(str(path))


def loaded(study, tiny_inputs, interruption=None):
    """Resources of a process of their own, that know nothing yet."""
    torch.set_num_threads(1)
    resources = Resources.of(study, tiny_inputs, torch.device("cpu"))
    resources.interruption = interruption or Interruption()
    return resources


@pytest.fixture(scope="module")
def resources(study, tiny_inputs):
    return loaded(study, tiny_inputs)


def the_cell(study, tiny_inputs, method):
    wanted = ("stripes", method, 1e-2, 1)
    return next(c for c in planned_cells(study, tiny_inputs) if (c.dataset, c.method, c.lr, c.seed) == wanted)


@pytest.fixture(scope="module")
def whole_runs(study, tiny_inputs, resources):
    """Runs that nothing interrupted, and their cells."""
    resources.interruption = Interruption()
    cells = {method: the_cell(study, tiny_inputs, method) for method in METHODS}
    return {method: (cell, result(run(cell, resources))) for method, cell in cells.items()}


def run(cell, resources, checkpoint=None):
    return run_cell(cell, study="tiny", resources=resources, provenance=Provenance(), checkpoint=checkpoint)


def result(outcome):
    """All that was measured: without clocks and the note of having been resumed."""
    record = msgspec.structs.replace(
        outcome.record, started_at=None, finished_at=None, wall_s=None, provenance=Provenance()
    )
    return record, {k: v.tobytes() for k, v in {**outcome.hits, **outcome.gallery}.items()}


def stopped_then_resumed(cell, resources, path, interruption):
    """Run until `interruption`, then to the end as another process would; return the outcome and where it stopped."""
    checkpoint = Checkpoint(path, "key")
    resources.interruption = interruption
    with pytest.raises(Interrupted) as caught:
        run(cell, resources, checkpoint)
    resources.interruption = Interruption()
    torch.manual_seed(99)  # another process has other global generators
    return run(cell, resources, checkpoint), caught.value.where


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_stopped_after_any_step_it_ends_with_the_same_numbers(whole_runs, resources, tmp_path, method, step):
    cell, whole = whole_runs[method]
    resumed, where = stopped_then_resumed(cell, resources, tmp_path / "checkpoint.pt", AfterSteps(step))
    assert where == f"in epoch {1 + (step - 1) // 3}, after step {1 + (step - 1) % 3} of 3"
    assert resumed.record.provenance.resumed_after == ((step - 1) // 3,)
    assert result(resumed) == whole


def test_stopped_after_every_step_it_ends_with_the_same_numbers(whole_runs, resources, tmp_path):
    """Dropout, order and flips go through seven processes."""
    cell, whole = whole_runs["lora_r8"]
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    for step in range(STEPS):
        torch.manual_seed(step)
        resources.interruption = AfterSteps(1)
        with pytest.raises(Interrupted, match=f"after step {step % 3 + 1} of 3"):
            run(cell, resources, checkpoint)
    resources.interruption = Interruption()
    resumed = run(cell, resources, checkpoint)
    assert resumed.record.provenance.resumed_after == (0, 0, 0, 1, 1, 1)
    assert result(resumed) == whole


def test_stopped_at_any_look_it_ends_with_the_same_numbers(whole_runs, resources, tmp_path):
    """Between the batches of every measurement, too: before training, after an epoch, after the last one."""
    cell, whole = whole_runs["full_ft"]
    places = []
    for look in range(1, 100, 3):
        at = AtLook(look)
        try:
            resumed, where = stopped_then_resumed(cell, resources, tmp_path / f"{look}.pt", at)
        except pytest.fail.Exception:  # it ended before that look
            break
        places.append(where)
        assert result(resumed) == whole, look
    assert places[0] == "in epoch 1, after step 0 of 3"  # nothing to keep
    assert "in epoch 2, after step 3 of 3" in places  # its measurements were left, and its steps kept
    assert places[-1] == ""  # after the last epoch, which is kept
    assert len(places) > 5


@pytest.mark.parametrize(("look", "where"), [(8, "in epoch 2, after step 0 of 3"), (15, "")])
def test_an_epoch_that_was_not_written_is_written_when_it_is_stopped(whole_runs, resources, tmp_path, look, where):
    """On an accelerator not every epoch's end is; neither is the last one's before the measurements at the end."""
    cell, whole = whole_runs["full_ft"]
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key", every_s=3600.0)
    resources.interruption = AtLook(look)
    with pytest.raises(Interrupted) as caught:
        run(cell, resources, checkpoint)
    assert caught.value.where == where
    checkpoint.catch_up()
    resources.interruption = Interruption()
    resumed = run(cell, resources, Checkpoint(checkpoint.path, "key"))
    assert resumed.record.provenance.resumed_after == (1 if where else 2,)
    assert result(resumed) == whole


def test_stopped_while_it_loads_it_begins_anew(whole_runs, study, tiny_inputs, tmp_path):
    cell, whole = whole_runs["last_block"]
    fresh = loaded(study, tiny_inputs)
    resumed, where = stopped_then_resumed(cell, fresh, tmp_path / "checkpoint.pt", AtLook(1))
    assert where == ""
    assert resumed.record.provenance.resumed_after == ()
    assert result(resumed) == whole


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_other_arithmetic(study, tiny_inputs, tmp_path, monkeypatch, precision):
    """With the scale of a float16 loss and where it is on its way to grow; a processor stands in for CUDA."""
    monkeypatch.setattr(fast_paths, "chosen_precision", lambda *_, **__: precision)
    real = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device: real(device, init_scale=2.0**6, growth_interval=4))
    resources = loaded(study, tiny_inputs)
    cell = the_cell(study, tiny_inputs, "lora_r8")
    whole = run(cell, resources)
    assert whole.record.provenance.precision == precision
    for step in (2, 5):
        resumed, _ = stopped_then_resumed(cell, resources, tmp_path / f"{step}.pt", AfterSteps(step))
        assert result(resumed) == result(whole)


def test_a_checkpoint_from_before_is_used_and_an_incomplete_one_is_not(whole_runs, resources, tmp_path):
    """One of the time when they were written between epochs only says nothing of the steps of an epoch."""
    cell, whole = whole_runs["full_ft"]
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    resources.interruption = Interruption()
    run(cell, resources, checkpoint)
    state = checkpoint.read()
    assert state.pop("part") is None
    checkpoint.write(state)
    resumed = run(cell, resources, checkpoint)
    assert resumed.record.provenance.resumed_after == (2,)
    assert result(resumed) == whole
    for missing in ("optimizer", "order"):
        checkpoint.write({name: value for name, value in state.items() if name != missing})
        assert run(cell, resources, checkpoint).record.provenance.resumed_after == ()


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_flipped_bit_makes_the_cell_start_anew(whole_runs, resources, tmp_path, place):
    """torch itself reads weights with a flipped bit without a word."""
    cell, whole = whole_runs["full_ft"]
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    resources.interruption = AfterSteps(4)
    with pytest.raises(Interrupted):
        run(cell, resources, checkpoint)
    resources.interruption = Interruption()
    data = bytearray(checkpoint.path.read_bytes())
    data[int(place * len(data))] ^= 1
    checkpoint.path.write_bytes(data)
    assert checkpoint.read() is None
    again = run(cell, resources, checkpoint)
    assert again.record.provenance.resumed_after == ()
    assert result(again) == whole
