"""Training on kept outputs of frozen parts is training on pictures; what a linear probe's tower shows is the base's."""

import msgspec
import numpy as np
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.methods import METHODS
from heatdrift.methods.families.partial import Partial
from heatdrift.model.adapt import adapt
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train import fast_paths, frozen
from heatdrift.train.cell import run_cell
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.frozen import frozen_data
from heatdrift.train.prefix import frozen_blocks
from heatdrift.train.resources import Resources


@pytest.fixture(scope="module")
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


@pytest.fixture(scope="module")
def probe(study, tiny_inputs):
    cell = next(c for c in planned_cells(study, tiny_inputs) if (c.dataset, c.lr, c.seed) == ("stripes", 1e-2, 1))
    return msgspec.structs.replace(cell, method="linear_probe", method_spec=METHODS["linear_probe"])


def outcome(cell, study, folder):
    torch.set_num_threads(1)
    resources = Resources.of(study, folder, torch.device("cpu"))
    return run_cell(cell, study="tiny", resources=resources, provenance=Provenance())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_equals_training_on_pictures(probe, study, tiny_inputs, monkeypatch, precision):
    cell = msgspec.structs.replace(probe, recipe=msgspec.structs.replace(probe.recipe, precision=precision))
    fast = outcome(cell, study, tiny_inputs)
    monkeypatch.setattr(Partial, "changes_encoder", True)
    monkeypatch.setattr(fast_paths, "frozen_blocks", lambda _tower: 0)
    plain = outcome(cell, study, tiny_inputs)
    near = 1e-4 if precision == "float32" else 1e-2  # other batches round bfloat16 otherwise
    for a, b in zip(fast.record.epochs[1:], plain.record.epochs[1:], strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, rel=near)
        assert (a.val_acc_pct, a.track_zero_shot_pct) == (b.val_acc_pct, b.track_zero_shot_pct)
        assert a.means == pytest.approx(b.means, abs=1e-6, nan_ok=True)
    assert fast.record.test_acc_pct == plain.record.test_acc_pct
    assert fast.record.transfer == plain.record.transfer
    assert fast.hits.keys() == plain.hits.keys()
    assert all(np.array_equal(fast.hits[name], plain.hits[name]) for name in fast.hits)
    assert all(np.array_equal(fast.gallery[name], plain.gallery[name]) for name in fast.gallery)


def test_the_tower_is_not_run_again_for_a_second_cell(probe, study, tiny_inputs, monkeypatch):
    torch.set_num_threads(1)
    resources = Resources.of(study, tiny_inputs, torch.device("cpu"))
    first = run_cell(probe, study="tiny", resources=resources, provenance=Provenance())
    calls = []
    monkeypatch.setattr(Evaluation, "accuracy_pct", lambda *_: calls.append("accuracy"))
    monkeypatch.setattr(Resources, "measure", lambda *_, **__: calls.append("measure"))
    resources.backbone.visual.register_forward_hook(lambda *_: calls.append("forward"))
    again = run_cell(msgspec.structs.replace(probe, seed=2), study="tiny", resources=resources, provenance=Provenance())
    assert calls == []
    assert again.record.status == first.record.status == "done"
    assert again.record.epochs[-1].train_loss != first.record.epochs[-1].train_loss


def test_a_method_that_trains_the_projection_is_not_frozen(probe, study, tiny_inputs):
    spec = Partial(tower="none", projection=True).stored("probe_projection")
    cell = msgspec.structs.replace(probe, method="probe_projection", method_spec=spec)
    record = outcome(cell, study, tiny_inputs).record
    assert record.epochs[-1].means["embedding_drift"] > 0


OF_BLOCKS = {
    "last_block": (METHODS["last_block"], 2),
    "last_block_proj": (METHODS["last_block_proj"], 2),
    "projection": (Partial(tower="none", projection=True).stored("projection"), 3),
}


@pytest.mark.parametrize("name", OF_BLOCKS)
def test_a_frozen_prefix_equals_training_through_all_blocks(probe, study, tiny_inputs, monkeypatch, name):
    """Upright and mirrored pictures, several batches an epoch, and everything that is measured afterwards."""
    cell = msgspec.structs.replace(probe, method=name, method_spec=OF_BLOCKS[name][0])
    used = []
    monkeypatch.setattr(fast_paths, "frozen_data", lambda *a, **k: used.append(k["blocks"]) or frozen_data(*a, **k))
    fast = outcome(cell, study, tiny_inputs)
    assert used == [OF_BLOCKS[name][1]]
    monkeypatch.setattr(fast_paths, "frozen_blocks", lambda _tower: 0)
    plain = outcome(cell, study, tiny_inputs)
    assert len(used) == 1
    assert fast.record.epochs[-1].means["weight_drift" if name != "projection" else "proj_drift"] > 0
    for a, b in zip(fast.record.epochs, plain.record.epochs, strict=True):
        if a.epoch:
            assert a.train_loss == pytest.approx(b.train_loss, rel=1e-4)
        assert (a.train_acc_pct, a.val_acc_pct, a.track_zero_shot_pct) == (
            *(b.train_acc_pct, b.val_acc_pct, b.track_zero_shot_pct),
        )
        assert a.means == pytest.approx(b.means, rel=1e-4, abs=1e-4, nan_ok=True)
    assert fast.record.test_acc_pct == plain.record.test_acc_pct
    assert fast.record.transfer == plain.record.transfer


def test_cells_of_one_data_set_share_the_frozen_prefix(probe, study, tiny_inputs, monkeypatch):
    used = []
    monkeypatch.setattr(fast_paths, "frozen_data", lambda *a, **k: used.append(k["blocks"]) or frozen_data(*a, **k))
    torch.set_num_threads(1)
    resources = Resources.of(study, tiny_inputs, torch.device("cpu"))
    for seed, name in ((1, "last_block"), (2, "last_block"), (1, "last_block_proj")):
        cell = msgspec.structs.replace(probe, seed=seed, method=name, method_spec=METHODS[name])
        assert run_cell(cell, study="tiny", resources=resources, provenance=Provenance()).record.status == "done"
    assert used == [2]


def test_tokens_that_take_too_much_memory_are_not_kept(probe, study, tiny_inputs, monkeypatch):
    cell = msgspec.structs.replace(probe, method="last_block", method_spec=METHODS["last_block"])
    fast = outcome(cell, study, tiny_inputs)
    monkeypatch.setattr(frozen, "MAX_TOKEN_BYTES", 0)
    monkeypatch.setattr(fast_paths, "frozen_data", lambda *_, **__: pytest.fail("kept all the same"))
    plain = outcome(cell, study, tiny_inputs)
    assert fast.record.epochs[-1].train_loss == pytest.approx(plain.record.epochs[-1].train_loss, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_what_counts_as_frozen(method, study, tiny_inputs):
    """Every built-in method that trains something in the first block, or before the blocks, has no frozen prefix."""
    backbone = Resources.of(study, tiny_inputs, torch.device("cpu")).backbone
    model = adapt(backbone, METHODS[method], 3, classifier_seed=1, adapter_seed=2)
    first = {"last_block": 2, "last_block_proj": 2, "linear_probe": 3}
    assert frozen_blocks(model.visual) == first.get(method, 0)
    for parameter in (model.visual.class_embedding, model.visual.conv1.weight, model.visual.ln_pre.bias):
        parameter.requires_grad = True
        assert frozen_blocks(model.visual) == 0
        parameter.requires_grad = False
