"""An epoch of captured steps that is left after any step goes on with steps captured anew, to the same bits."""

import pytest
import torch
from torch import nn

from heatdrift.crop_plan import Preprocess
from heatdrift.train.course_state import EpochStart
from heatdrift.train.loop import EpochPart, Normaliser, Optimisation, PixelSet, train_epoch
from heatdrift.train.step import CapturedStep, PlainStep, adamw, load_state

BATCH, STEPS = 4, 6
NORMALISE = Normaliser.of(Preprocess(size=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), torch.device("cpu"))
IMAGES = PixelSet(
    crops=torch.randint(0, 256, (22, 3, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8),
    labels=torch.arange(22) % 3,
)


def begun():
    """A process at the start of its epoch: model, its optimisation with captured steps, generators."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 3))
    parameters = list(model.parameters())
    optimizer = adamw(parameters, lr=1e-2, weight_decay=0.01, device=torch.device("cpu"), captured=True)
    plain = PlainStep(model, parameters, optimizer, clip_norm=1.0, bfloat16=False)
    run = Optimisation(
        optimizer=optimizer,
        peak_lr=1e-2,
        total_steps=STEPS,
        warmup_fraction=0.1,
        clip_norm=1.0,
        batch_size=BATCH,
        bfloat16=False,
        order=torch.Generator().manual_seed(2),
        flips=torch.Generator().manual_seed(3),
        step_by=CapturedStep(plain, BATCH, lambda recorded: recorded),  # capturing runs nothing, replaying runs it
    )
    torch.manual_seed(4)
    return model, run


def epoch(model, run, **options):
    return train_epoch(model, list(model.parameters()), IMAGES, NORMALISE, run, **options)


@pytest.mark.parametrize("last", range(1, STEPS + 1))
def test_left_after_any_step(last):
    whole_model, whole_run = begun()
    whole = epoch(whole_model, whole_run)
    model, run = begun()
    start = EpochStart.of(run)
    part = epoch(model, run, leave=lambda: run.step == last)
    assert isinstance(part, EpochPart)
    assert len(part) == last
    dropout = torch.get_rng_state()
    other_model, other = begun()
    other_model.load_state_dict(model.state_dict())
    load_state(other.optimizer, run.optimizer.state_dict())
    other.step = run.step
    other.order.set_state(start.order)
    other.flips.set_state(start.flips)
    torch.set_rng_state(dropout)
    result = epoch(other_model, other, part=part)
    assert (result.loss, result.acc_pct, other.step) == (whole.loss, whole.acc_pct, STEPS)
    assert torch.equal(result.part.losses, whole.part.losses)
    assert all(torch.equal(a, b) for a, b in zip(whole_model.parameters(), other_model.parameters(), strict=True))
    assert torch.equal(other.order.get_state(), whole_run.order.get_state())


def test_a_step_that_was_not_finite_before_the_epoch_was_left_counts():
    """On an accelerator nothing of a step is read before the epoch's end."""
    model, run = begun()
    part = epoch(model, run, leave=lambda: run.step == 3)
    broken = EpochPart(losses=part.losses, hits=part.hits, finite=torch.tensor([True, False, True]))
    other_model, other = begun()
    other_model.load_state_dict(model.state_dict())
    other.step = 3
    assert epoch(other_model, other, part=broken).diverged_at == 2
