"""Every method is trained by run_cell on the embedded lab, end to end; a new method is tested by its entry."""

from pathlib import Path

import msgspec
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.methods import BUILT_IN, METHODS
from heatdrift.model.adapt import adapt
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train.cell import run_cell
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.resources import Resources

STUDY = """
name = "methods"
protocol = "leakfree"
backbone = {{ name = "lab" }}

[train]
epochs = 2
batch_size = 16
data_seed = 1

[datasets.terrain]
train = "lab:terrain/train"
test = "lab:terrain/test"
sizes = {{ train = 4, val = 2, probe = 2 }}

[transfer.combinations]
test = "lab:combinations/test"
n_images = 48

[methods.my_lora]
kind = "lora"
rank = 4
alpha = 8
targets = ["q", "k", "v", "out", "c_fc", "c_proj"]
blocks = "2-3"

[grid]
dataset = ["terrain"]
method = [{names}]
lr = [2e-3]
seed = [7]
"""
NAMES = (*METHODS, "my_lora")
CHECKED = {name: entry.family.checked for name, entry in BUILT_IN.items()} | {"my_lora": True}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("methods") / "methods.toml"
    path.write_text(STUDY.format(names=", ".join(f'"{name}"' for name in NAMES)))
    return load_study(str(path))


@pytest.fixture(scope="module")
def resources(study):
    torch.set_num_threads(1)
    return Resources.of(study, Path(), torch.device("cpu"))


@pytest.fixture(scope="module")
def cells(study):
    return {cell.method: cell for cell in planned_cells(study, Path())}


@pytest.fixture(scope="module")
def whole_runs(cells, resources):
    """Method -> its run and its model at the selected epoch; each is trained once."""
    kept = {}

    def run(name):
        if name not in kept:
            models = []
            outcome = train(cells[name], resources, on_selected=lambda _backbone, model: models.append(model))
            kept[name] = outcome, models[0]
        return kept[name]

    return run


def train(cell, resources, **options):
    return run_cell(cell, study="methods", resources=resources, provenance=Provenance(), **options)


def numbers(outcome):
    """All that was measured, without clocks and the note of having been resumed."""
    record = msgspec.structs.replace(
        outcome.record, started_at=None, finished_at=None, wall_s=None, provenance=Provenance()
    )
    return record, {k: v.tobytes() for k, v in {**outcome.hits, **outcome.gallery}.items()}


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_on_the_lab_and_is_measured(name, whole_runs, cells):
    outcome, model = whole_runs(name)
    record = outcome.record
    assert (record.status, record.error) == ("done", None)
    assert record.cell == cells[name]
    first, last = record.epochs[1], record.epochs[-1]
    assert last.train_loss < first.train_loss
    assert (last.means["weight_drift"] > 0) == (last.means["embedding_drift"] > 1e-9) == model.family.changes_encoder
    assert (last.means["proj_drift"] > 0) == model.family.description().projection
    assert record.trainable_params == sum(p.numel() for p in model.trained())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_live_and_switched_off_it_is_the_base(name, whole_runs, resources):
    outcome, model = whole_runs(name)
    data, base = resources.target("terrain"), resources.backbone.visual
    live = resources.measure(model.visual, data.probe, keep=0).pooled
    with model.family.switched_off(model.visual, base):
        off = resources.measure(model.visual, data.probe, keep=0).pooled
    said = model.family.description()
    changes_tower = said.tower != "frozen" or said.adapters != "none"
    assert (float((live - data.base.pooled).abs().max()) > 1e-3) == changes_tower
    assert float((off - data.base.pooled).abs().max()) <= 1e-5, "a family must be able to be switched off"
    checks = outcome.record.checks
    assert (checks is not None) == CHECKED[name]
    assert checks is None or (checks.live and checks.off_equals_base)


@pytest.mark.parametrize("name", NAMES)
def test_its_trained_state_restores_the_measured_model_exactly(name, whole_runs, cells, resources):
    _, model = whole_runs(name)
    pixels = resources.normalise(resources.target("terrain").probe.crops)
    n_classes = len(resources.target("terrain").class_names)
    other = adapt(resources.backbone, cells[name].method_spec, n_classes, classifier_seed=8, adapter_seed=9)
    assert not torch.equal(other.logits(pixels), model.logits(pixels))
    other.restore(model.trained_state())
    assert torch.equal(other.logits(pixels), model.logits(pixels))


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("name", NAMES)
def test_killed_in_its_last_epoch_it_ends_with_the_same_numbers(name, whole_runs, cells, resources, tmp_path):
    whole, _ = whole_runs(name)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")

    def killed(epoch):
        if epoch == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(cells[name], resources, checkpoint=checkpoint, on_epoch=killed)
    torch.manual_seed(5)
    resumed = train(cells[name], resources, checkpoint=checkpoint)
    assert resumed.record.provenance.resumed_after == (1,)
    assert numbers(resumed) == numbers(whole)


def test_a_method_whose_weights_did_not_move_fails_its_run(cells, resources, monkeypatch):
    """BitFit has no adapters, and an evaluation that leaves its biases out must not count as done either."""
    real = resources.measure
    monkeypatch.setattr(
        type(resources), "measure", lambda self, _tower, pixels, keep, *_: real(self.backbone.visual, pixels, keep)
    )
    record = train(cells["bitfit"], resources).record
    assert record.status == "failed"
    assert "the method does not change the tower's output" in record.error
