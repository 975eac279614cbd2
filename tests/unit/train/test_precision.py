"""`auto` takes the arithmetic that was faster when it was timed, and bfloat16 only where it is clearly so."""

import pytest
import torch
from torch import nn

from heatdrift.errors import TrainError
from heatdrift.train import precision
from heatdrift.train.precision import chosen_precision

CPU = torch.device("cpu")


def tower():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))


@pytest.mark.parametrize(
    ("plain", "half", "chosen"), [(2.0, 1.0, "bfloat16"), (1.2, 1.0, "float32"), (1.0, 30.0, "float32")]
)
def test_auto_takes_what_was_measured(monkeypatch, plain, half, chosen):
    monkeypatch.setattr(precision, "_step_s", lambda *_, bfloat16: half if bfloat16 else plain)
    assert chosen_precision("auto", tower(), CPU, batch_size=2, image_size=4) == chosen


def test_what_a_study_states_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "_step_s", lambda *_, **__: pytest.fail("measured"))
    for stated in ("float32", "bfloat16"):
        assert chosen_precision(stated, tower(), CPU, batch_size=2, image_size=4) == stated


def test_timing_leaves_the_tower_and_the_generator_as_they_were():
    model = tower().eval().requires_grad_(requires_grad=False)
    before, state = [p.clone() for p in model.parameters()], torch.get_rng_state()
    assert chosen_precision("auto", model, CPU, batch_size=2, image_size=4) in ("float32", "bfloat16")
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert not model.training
    assert torch.equal(state, torch.get_rng_state())


def test_float16_is_for_cuda_and_is_refused_elsewhere():
    with pytest.raises(TrainError, match=r"float16 .* needs CUDA, this device is cpu") as caught:
        chosen_precision("float16", nn.Linear(2, 2), torch.device("cpu"), batch_size=8, image_size=4)
    assert "float32" in caught.value.hint
    cuda = torch.device("cuda")  # nothing runs there
    assert chosen_precision("float16", nn.Linear(2, 2), cuda, batch_size=8, image_size=4) == "float16"
