"""A linear probe on kept embeddings is the linear probe on pictures; what its tower shows is the base's."""

import msgspec
import numpy as np
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.methods import METHODS
from heatdrift.methods.families.partial import Partial
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train import course
from heatdrift.train.cell import run_cell
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
    monkeypatch.setattr(course, "accuracy_pct", lambda *_: calls.append("accuracy"))
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
