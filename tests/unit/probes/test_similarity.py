import math

import numpy as np
import plain_probes as plain
import pytest
import torch

from heatdrift.probes.similarity import embedding_drift, linear_cka, linear_cka_debiased


def activations(n=30, features=12, seed=0, *, mean=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(mean, 1, (n, features)).astype(np.float32))


def related(x, noise, seed=1):
    generator = np.random.default_rng(seed)
    mixed = x.numpy() @ generator.normal(size=(x.shape[1], 9)) + generator.normal(0, noise, (len(x), 9))
    return torch.from_numpy(mixed.astype(np.float32))


@pytest.mark.parametrize("noise", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("mean", [0.0, 20.0])
def test_cka_equals_the_feature_space_formula(noise, mean):
    x = activations(mean=mean)
    y = related(x, noise)
    assert linear_cka(x, y) == pytest.approx(plain.cka(x, y), rel=1e-9)


@pytest.mark.parametrize("n", [4, 5, 30])
@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_debiased_cka_equals_song_2012_on_uncentred_activations(n, mean):
    x = activations(n=n, mean=mean)
    y = related(x, 1.0)
    assert linear_cka_debiased(x, y) == pytest.approx(plain.cka_debiased(x, y), rel=1e-7)


def test_cka_of_a_model_with_itself_is_exactly_one():
    for seed in range(20):
        x = activations(seed=seed)
        assert linear_cka(x, x.clone()) == 1
        assert linear_cka_debiased(x, x.clone()) == 1


def test_cka_ignores_rotation_scale_and_shift():
    x = activations()
    rotation = torch.linalg.qr(activations(12, 12, seed=5).double()).Q
    y = 3.5 * (x.double() @ rotation) + 7
    assert linear_cka(x, y) == pytest.approx(1, abs=1e-9)
    assert linear_cka_debiased(x, y) == pytest.approx(1, abs=1e-9)


def test_the_biased_estimator_is_high_for_unrelated_features_and_the_debiased_is_not():
    """With 200 images, 768 features, independent noise: the biased estimator gives 0.79."""
    x, y = activations(200, 768, seed=1), activations(200, 768, seed=2)
    assert linear_cka(x, y) == pytest.approx(0.79, abs=0.005)
    assert linear_cka_debiased(x, y) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("constant", [torch.zeros(8, 3), torch.full((8, 3), 5.0), torch.full((8, 3), 1e5)])
def test_no_variance_has_no_cka(constant):
    x = activations(8, 3)
    assert linear_cka(x, constant) is None
    assert linear_cka(constant, x) is None
    assert linear_cka_debiased(x, constant) is None


def test_variance_far_smaller_than_the_mean_still_counts():
    x = activations(8, 3)
    assert linear_cka(x, 1000 + x) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_debiased_cka_needs_four_images(n):
    assert linear_cka_debiased(activations(n), activations(n, seed=1)) is None


def test_one_image_has_no_cka():
    assert linear_cka(activations(1), activations(1, seed=1)) is None


def test_activations_that_are_not_finite_have_no_cka():
    broken = activations()
    broken[3, 4] = torch.nan
    assert linear_cka(activations(), broken) is None
    assert linear_cka_debiased(activations(), broken) is None


def test_embedding_drift_equals_one_minus_mean_cosine():
    base, adapted = activations(), activations(seed=4)
    assert embedding_drift(base, adapted) == pytest.approx(plain.embedding_drift(base, adapted), abs=1e-12)


def test_embedding_drift_closed_forms():
    base = activations()
    right_angle = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 1.0], [-5.0, 0.0]])
    assert embedding_drift(base, base.clone()) == 0
    assert embedding_drift(base, base * 7) == pytest.approx(0, abs=1e-12)
    assert embedding_drift(base, -base) == pytest.approx(2)
    assert embedding_drift(*right_angle) == pytest.approx(1)


def test_a_tiny_embedding_drift_is_not_lost_in_rounding():
    base = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    adapted = torch.tensor([[math.cos(1e-9), math.sin(1e-9)]], dtype=torch.float64)
    assert embedding_drift(base, adapted) == pytest.approx(0.5e-18, rel=1e-3)
