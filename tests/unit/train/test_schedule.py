import math

import pytest
import torch

from heatdrift.train.schedule import derived_seed, lr_factor

PURPOSES = ("classifier", "adapters", "order", "flips", "dropout")


@pytest.mark.parametrize(("total", "warmup"), [(100, 5), (20, 1), (210, 11), (1, 1)])
def test_five_percent_of_the_steps_warm_up_linearly_to_one(total, warmup):
    factors = [lr_factor(step, total, 0.05) for step in range(total)]
    assert factors[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert max(factors) == 1
    assert all(later < earlier for earlier, later in zip(factors[warmup:], factors[warmup + 1 :], strict=False))


def test_the_rest_is_half_a_cosine_down_to_zero():
    total, warmup = 100, 5
    for step in range(warmup, total):
        angle = math.pi * (step - warmup) / (total - warmup)
        assert lr_factor(step, total, 0.05) == pytest.approx(math.cos(angle / 2) ** 2)
    assert lr_factor(total, total, 0.05) == pytest.approx(0, abs=1e-15)
    assert lr_factor(total - 1, total, 0.05) > 0


def test_no_warm_up_starts_at_the_peak():
    assert lr_factor(0, 10, 0.0) == 1


def test_warm_up_all_the_way():
    assert [lr_factor(step, 4, 1.0) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("total", range(1, 40))
def test_every_step_trains_a_little_and_none_above_the_peak(total):
    assert all(0 < lr_factor(step, total, 0.05) <= 1 for step in range(total))


@pytest.mark.parametrize("total", [1, 19, 20, 100, 6760, 1725])
def test_a_warm_up_from_zero_is_that_of_the_published_scheduler(total):
    """The preprint's LambdaLR: step / warmup for int(0.05 T) steps, then the cosine."""
    warmup = int(0.05 * total)

    def published(step):
        if step < warmup:
            return step / max(warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))

    parameter = torch.nn.Parameter(torch.zeros(1))
    scheduler = torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD([parameter], lr=1.0), published)
    for step in range(min(total, 400)):
        assert lr_factor(step, total, 0.05, from_zero=True) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
        parameter.grad = torch.zeros(1)
        scheduler.optimizer.step()
        scheduler.step()
    assert lr_factor(0, total, 0.05, from_zero=True) == (1 if total < 20 else 0)


def test_seeds_of_different_purposes_and_cells_never_meet():
    seeds = {derived_seed(seed, purpose) for seed in range(200) for purpose in PURPOSES}
    assert len(seeds) == 200 * len(PURPOSES)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_derived_seeds_never_change():
    """They decide every result; a stored cell id must keep meaning the same run."""
    assert derived_seed(7, "order") == 8224492463274629583  # sha256 of "7/order", first 8 bytes, halved
