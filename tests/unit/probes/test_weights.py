import copy
import math

import numpy as np
import pytest
import stubs
import torch

from heatdrift.errors import ProbeError
from heatdrift.methods.families.lora import Lora, adapters
from heatdrift.model.attention import split_attention
from heatdrift.probes.weights import projection_drift, tower_norm, weight_drift


@pytest.fixture
def tower():
    visual = stubs.tiny_clip().visual
    split_attention(visual)
    return visual.requires_grad_(requires_grad=False)


def frobenius(arrays):
    return math.sqrt(sum(float(v) ** 2 for a in arrays for v in np.asarray(a, dtype=np.float64).ravel()))


def moved(tower, scale=0.01, seed=3):
    other = copy.deepcopy(tower)
    generator = torch.Generator().manual_seed(seed)
    for parameter in other.parameters():
        parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return other


def differences(tower, other):
    after = dict(other.named_parameters())
    return {name: after[name] - p for name, p in tower.named_parameters()}


def test_drifts_equal_the_plain_norms(tower):
    other = moved(tower)
    before, after = ({n: p.numpy() for n, p in t.named_parameters()} for t in (tower, other))
    names = [n for n in before if n != "proj"]
    norm = frobenius(before[n] for n in names)
    assert tower_norm(tower) == pytest.approx(norm, rel=1e-9)
    update = frobenius(after[n].astype(np.float64) - before[n] for n in names)
    assert weight_drift(tower, differences(tower, other)) == pytest.approx(update / norm, rel=1e-5)
    projection = frobenius([after["proj"].astype(np.float64) - before["proj"]]) / frobenius([before["proj"]])
    assert projection_drift(tower, other) == pytest.approx(projection, rel=1e-5)


def test_nothing_moved_is_exactly_zero(tower):
    assert weight_drift(tower, {}) == weight_drift(tower, differences(tower, copy.deepcopy(tower))) == 0
    assert projection_drift(tower, copy.deepcopy(tower)) == 0


def test_the_projection_counts_in_its_own_drift_only(tower):
    other = copy.deepcopy(tower)
    other.proj += 1
    assert weight_drift(tower, differences(tower, other)) == 0
    assert projection_drift(tower, other) > 0


def test_scaling_the_whole_tower_moves_it_by_that_share(tower):
    other = copy.deepcopy(tower)
    for parameter in other.parameters():
        parameter.mul_(1.5)
    assert weight_drift(tower, differences(tower, other)) == pytest.approx(0.5)
    assert projection_drift(tower, other) == pytest.approx(0.5)


def test_adapters_count_as_alpha_over_rank_times_b_a(tower):
    other = copy.deepcopy(tower)
    lora = Lora(rank=4, alpha=6.0)
    lora.put_on(other, 1)
    assert weight_drift(tower, lora.updates(other, tower)) == 0  # B starts at 0
    generator = torch.Generator().manual_seed(2)
    updates = []
    for layer in adapters(other).values():
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        b.data = torch.randn(b.shape, generator=generator)
        updates.append(6 / 4 * (b.detach().double() @ a.detach().double()).numpy())
    expected = frobenius(updates) / frobenius(p.numpy() for n, p in tower.named_parameters() if n != "proj")
    assert weight_drift(tower, lora.updates(other, tower)) == pytest.approx(expected, rel=1e-5)


def test_an_update_of_a_weight_that_is_not_there_is_refused(tower):
    """It would be left out of the sum, and the drift would be too small."""
    with pytest.raises(ProbeError, match="no_such_layer"):
        weight_drift(tower, {"no_such_layer.weight": torch.ones(2, 2)})
