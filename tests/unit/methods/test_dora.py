import copy

import numpy as np
import pytest
import torch

from heatdrift.methods.families.dora import Dora
from heatdrift.methods.families.lora import adapters
from heatdrift.probes.weights import tower_norm, weight_drift

DORA = Dora(rank=4, alpha=6.0, targets=("q", "out", "c_fc"), projection=False)


@pytest.fixture
def tower(backbone):
    trained = copy.deepcopy(backbone.visual)
    DORA.put_on(trained, 3)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return trained.eval()


def weight_by_definition(layer):
    """m (W + (alpha / rank) B A) / norm over rows, in float64 (Liu et al. 2024, eq. 5)."""
    w, a, b, m = (
        p.detach().double().numpy()
        for p in (
            layer.base_layer.weight,
            layer.lora_A["default"].weight,
            layer.lora_B["default"].weight,
            layer.lora_magnitude_vector["default"].weight,
        )
    )
    inner = w + 6 / 4 * b @ a
    return m[:, None] * inner / np.sqrt((inner**2).sum(axis=1, keepdims=True))


def test_updates_are_those_of_the_weight_by_definition(tower, backbone):
    updates = DORA.updates(tower, backbone.visual)
    assert len(updates) == len(adapters(tower)) == 9
    for name, layer in adapters(tower).items():
        base = backbone.visual.get_parameter(f"{name}.weight").double().numpy()
        expected = weight_by_definition(layer) - base
        np.testing.assert_allclose(updates[f"{name}.weight"].numpy(), expected, atol=1e-6)
        inner = layer.get_delta_weight("default").detach().numpy()
        assert not np.allclose(inner, expected, atol=1e-2)  # peft's "delta weight" is the update before the lengths


def test_a_layer_computes_with_that_weight(tower):
    x = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    for layer in adapters(tower).values():
        weight = torch.from_numpy(weight_by_definition(layer)).float()
        expected = x @ weight.T + layer.base_layer.bias
        torch.testing.assert_close(layer(x), expected, atol=2e-5, rtol=1e-5)


def test_weight_drift_counts_that_update(tower, backbone):
    total = sum(
        ((weight_by_definition(layer) - layer.base_layer.weight.double().numpy()) ** 2).sum()
        for layer in adapters(tower).values()
    )
    found = weight_drift(backbone.visual, DORA.updates(tower, backbone.visual))
    assert found == pytest.approx(np.sqrt(total) / tower_norm(backbone.visual), rel=1e-5)


def test_lengths_start_at_those_of_the_rows(backbone):
    fresh = copy.deepcopy(backbone.visual)
    DORA.put_on(fresh, 3)
    for layer in adapters(fresh).values():
        rows = layer.base_layer.weight.double().norm(dim=1)
        torch.testing.assert_close(layer.lora_magnitude_vector["default"].weight.detach().double(), rows)
    assert weight_drift(backbone.visual, DORA.updates(fresh, backbone.visual)) == 0
