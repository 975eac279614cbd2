"""A killed run goes on from its checkpoint and gives the same numbers, bit for bit."""

from functools import partial

import msgspec
import numpy as np
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import StoreError
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train import fast_paths
from heatdrift.train.cell import run_cell
from heatdrift.train.checkpoint import Checkpoint, resume_key
from heatdrift.train.resources import Resources

EPOCHS = 3


class KilledError(Exception):
    """Stands for the end of the process: nothing after it runs."""


@pytest.fixture(scope="module")
def study(tiny_inputs):
    loaded = load_study(str(tiny_inputs / "study.toml"))
    return msgspec.structs.replace(loaded, train=msgspec.structs.replace(loaded.train, epochs=EPOCHS))


@pytest.fixture(scope="module")
def cells(study, tiny_inputs):
    return {(c.dataset, c.method, c.lr, c.seed): c for c in planned_cells(study, tiny_inputs)}


@pytest.fixture(scope="module")
def resources(study, tiny_inputs):
    torch.set_num_threads(1)
    return Resources.of(study, tiny_inputs, torch.device("cpu"))


def run(cell, resources, **options):
    return run_cell(cell, study="tiny", resources=resources, provenance=Provenance(), **options)


def result(outcome):
    """All that was measured: without clocks and the note of having been resumed."""
    record = msgspec.structs.replace(
        outcome.record, started_at=None, finished_at=None, wall_s=None, provenance=Provenance()
    )
    return record, {k: v.tobytes() for k, v in {**outcome.hits, **outcome.gallery}.items()}


def killed_after(last):
    def on_epoch(epoch):
        if epoch == last:
            raise KilledError

    return on_epoch


@pytest.fixture(scope="module")
def whole_runs(cells, resources):
    """Runs that nothing interrupted."""
    return {method: run(cells["stripes", method, 1e-2, 1], resources) for method in ("full_ft", "lora_r8")}


@pytest.mark.parametrize("method", ["full_ft", "lora_r8"])
@pytest.mark.parametrize("last", range(1, EPOCHS + 1))
def test_a_run_killed_in_any_epoch_ends_with_the_same_numbers(cells, resources, whole_runs, tmp_path, method, last):
    cell, whole = cells["stripes", method, 1e-2, 1], whole_runs[method]
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    with pytest.raises(KilledError):
        run(cell, resources, checkpoint=checkpoint, on_epoch=killed_after(last))
    torch.manual_seed(last)  # another process has other global generators
    resumed = run(cell, resources, checkpoint=checkpoint)
    assert result(resumed) == result(whole)
    assert resumed.record.provenance.resumed_after == ((last - 1,) if last > 1 else ())
    assert whole.record.provenance.resumed_after == ()


def test_a_run_killed_twice_says_so(cells, resources, tmp_path):
    cell = cells["hues", "lora_r8", 1e-2, 2]
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    for last in (2, 3):
        with pytest.raises(KilledError):
            run(cell, resources, checkpoint=checkpoint, on_epoch=killed_after(last))
    resumed = run(cell, resources, checkpoint=checkpoint)
    assert resumed.record.provenance.resumed_after == (1, 2)
    assert result(resumed) == result(run(cell, resources))


def test_a_checkpoint_of_other_code_or_a_damaged_one_is_not_used(cells, resources, tmp_path):
    cell = cells["stripes", "full_ft", 1e-2, 1]
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        run(cell, resources, checkpoint=Checkpoint(path, "old"), on_epoch=killed_after(3))
    assert Checkpoint(path, "old").read() is not None
    assert Checkpoint(path, "new").read() is None
    data = path.read_bytes()
    for damaged in (b"", data[: len(data) // 2], b"nonsense" * 100):
        path.write_bytes(damaged)
        assert Checkpoint(path, "old").read() is None
    assert run(cell, resources, checkpoint=Checkpoint(path, "old")).record.provenance.resumed_after == ()


def test_the_key_changes_with_all_that_changes_numbers(cells):
    cell, other = cells["stripes", "full_ft", 1e-2, 1], cells["stripes", "full_ft", 1e-2, 2]
    keys = {
        resume_key(cell, Provenance(), device="cpu", threads=1),
        resume_key(other, Provenance(), device="cpu", threads=1),
        resume_key(cell, Provenance(commit="a"), device="cpu", threads=1),
        resume_key(cell, Provenance(diff_sha256="a"), device="cpu", threads=1),
        resume_key(cell, Provenance(packages={"torch": "3"}), device="cpu", threads=1),
        resume_key(cell, Provenance(), device="cuda", threads=1),
        resume_key(cell, Provenance(), device="cpu", threads=2),
    }
    assert len(keys) == 7
    assert resume_key(cell, Provenance(host="a"), device="cpu", threads=1) in keys


def test_a_full_disk_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    checkpoint.write({"weights": torch.ones(3)})

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StoreError, match="No space left on device"):
        checkpoint.write({"weights": torch.zeros(3)})
    assert np.array_equal(checkpoint.read()["weights"], np.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_scale_of_the_loss_is_kept_too(cells, study, tiny_inputs, tmp_path, monkeypatch):
    """In float16, whose scaler has a state; a processor stands in for CUDA."""
    monkeypatch.setattr(fast_paths, "chosen_precision", lambda *_, **__: "float16")
    growing = partial(torch.amp.GradScaler, init_scale=2.0**6, growth_interval=4)  # so that the state changes
    monkeypatch.setattr(torch.amp, "GradScaler", growing)
    half = Resources.of(study, tiny_inputs, torch.device("cpu"))
    cell, checkpoint = cells["stripes", "full_ft", 1e-2, 1], Checkpoint(tmp_path / "checkpoint.pt", "key")
    whole = run(cell, half)
    assert whole.record.provenance.precision == "float16"
    with pytest.raises(KilledError):
        run(cell, half, checkpoint=checkpoint, on_epoch=killed_after(2))
    kept = checkpoint.read()
    assert kept["scaler"]["_growth_tracker"] + kept["scaler"]["scale"] != 2.0**6
    assert result(run(cell, half, checkpoint=checkpoint)) == result(whole)
