import math

import numpy as np
import plain_probes
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heatdrift.probes import shape
from heatdrift.probes.collector import Collector, class_maps
from heatdrift.probes.divergence import jensen_shannon, map_js
from heatdrift.probes.similarity import embedding_drift, linear_cka, linear_cka_debiased

EPS = 1e-12
quick = settings(max_examples=60, deadline=None)


@st.composite
def distributions(draw, max_patches=60):
    """(rows, patches) float64, rows sum to 1: from flat to one-hot, with zeros and ties."""
    patches = draw(st.integers(1, max_patches))
    weights = draw(arrays(np.float64, (3, patches), elements=st.sampled_from([0.0, 1e-9, 0.1, 0.5, 1.0, 1e6])))
    assume((weights.sum(-1) > 0).all())
    return torch.from_numpy(weights / weights.sum(-1, keepdims=True))


@st.composite
def attentions(draw, *, images=None):
    """Softmax of one block: (images, heads, tokens, tokens) float64."""
    images = images or draw(st.integers(1, 5))
    heads, tokens = draw(st.integers(1, 3)), draw(st.integers(2, 8))
    seed, sharpness = draw(st.integers(0, 10_000)), draw(st.sampled_from([0.0, 1.0, 10.0, 60.0]))
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(images, heads, tokens, tokens, generator=generator, dtype=torch.float64) * sharpness
    return scores.softmax(-1)


@st.composite
def activation_pairs(draw, min_images=4):
    seed, n = draw(st.integers(0, 10_000)), draw(st.integers(min_images, 20))
    shared, features = draw(st.floats(0, 1)), draw(st.integers(1, 30))
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, features))
    y = shared * x + (1 - shared) * generator.normal(size=(n, features)) + 1e-3 * generator.normal(size=(n, features))
    return torch.from_numpy(x), torch.from_numpy(y)


@quick
@given(distributions())
def test_row_metrics_stay_in_their_ranges(rows):
    n = rows.shape[-1]
    entropy, support, gini = shape.entropy(rows), shape.support(rows), shape.gini(rows)
    assert ((entropy >= 0) & (entropy <= math.log(n) + EPS)).all()
    assert ((support >= 1 / n) & (support <= 1)).all()
    assert ((gini >= -EPS) & (gini <= (n - 1) / n + EPS)).all()


@quick
@given(distributions(), st.randoms(use_true_random=False))
def test_row_metrics_do_not_know_where_a_patch_is(rows, random):
    order = list(range(rows.shape[-1]))
    random.shuffle(order)
    for metric in (shape.entropy, shape.support, shape.gini):
        torch.testing.assert_close(metric(rows[:, order]), metric(rows), atol=EPS, rtol=0)


@quick
@given(distributions())
def test_support_is_the_smallest_share_that_holds_the_mass(rows):
    n = rows.shape[-1]
    for row, share in zip(rows.tolist(), shape.support(rows).tolist(), strict=True):
        k = round(share * n)
        largest = sorted(row, reverse=True)
        assert math.fsum(largest[:k]) >= 0.95 - 2e-9
        assert k == 1 or math.fsum(largest[: k - 1]) < 0.95


@quick
@given(distributions(max_patches=20), st.floats(0, 1))
def test_mixing_with_the_uniform_row_raises_entropy_and_lowers_gini(rows, share):
    mixed = (1 - share) * rows + share / rows.shape[-1]
    assert (shape.entropy(mixed) >= shape.entropy(rows) - 1e-9).all()
    assert (shape.gini(mixed) <= shape.gini(rows) + 1e-9).all()


@quick
@given(attentions())
def test_block_metrics_stay_in_their_ranges(attention):
    patches = attention.shape[-1] - 1
    rows, self_mass = shape.patch_rows(attention)
    assert ((self_mass >= 0) & (self_mass <= 1)).all()
    torch.testing.assert_close(rows.sum(-1), torch.ones_like(self_mass))
    entropy = shape.patch_to_patch_entropy(attention)
    assert ((entropy >= 0) & (entropy <= math.log2(patches) + EPS)).all()
    diversity = shape.head_diversity(rows.mean(0))
    assert math.isnan(diversity) if attention.shape[1] == 1 else -EPS <= diversity <= 1


@quick
@given(attentions(), st.randoms(use_true_random=False))
def test_head_diversity_does_not_know_the_order_of_heads(attention, random):
    maps = shape.patch_rows(attention)[0].mean(0)
    order = list(range(len(maps)))
    random.shuffle(order)
    found = shape.head_diversity(maps[order])
    torch.testing.assert_close(found, shape.head_diversity(maps), atol=EPS, rtol=0, equal_nan=True)


@quick
@given(attentions())
def test_rollout_rows_are_distributions(attention):
    rollout = shape.rollout_step(shape.rollout_step(None, attention), attention)
    torch.testing.assert_close(rollout.sum(-1), torch.ones(rollout.shape[:-1], dtype=torch.float64))
    rows = shape.rollout_rows(rollout)
    assert (rows >= 0).all()
    torch.testing.assert_close(rows.sum(-1), torch.ones(len(rows), dtype=torch.float64))


def collected(batches):
    """One block after another over each batch of (images, heads, tokens, tokens)."""
    collector = Collector(layers=2, keep=2)
    for attention in batches:
        collector.observe(0, attention)
        collector.observe(1, attention.flip(1))
    return collector


@quick
@given(attentions(images=5), st.integers(1, 5), st.permutations(range(5)))
def test_sums_depend_neither_on_batch_size_nor_on_the_order_of_images(attention, size, order):
    whole = collected([attention])
    for batches in (torch.split(attention, size), torch.split(attention[order], size)):
        found = collected(batches)
        assert found.images == 5
        for name in whole.sums:
            torch.testing.assert_close(found.mean(name), whole.mean(name), atol=EPS, rtol=EPS)
        for name, value in whole.whole_sums.items():
            torch.testing.assert_close(found.whole_sums[name], value, atol=EPS, rtol=EPS)


@quick
@given(attentions(images=5), st.integers(1, 5))
def test_kept_maps_are_those_of_the_first_images_however_batches_are_cut(attention, size):
    whole, cut = collected([attention]), collected(torch.split(attention, size))
    maps = [class_maps(found.class_rows(), keep=2) for found in (cut, whole)]
    torch.testing.assert_close(*maps, equal_nan=True)
    torch.testing.assert_close(torch.cat(cut.rollout_maps), torch.cat(whole.rollout_maps))
    assert len(maps[0]) == 2


@quick
@given(distributions(), st.randoms(use_true_random=False))
def test_map_divergence_is_a_symmetric_share_of_a_bit_and_0_for_equal_maps(rows, random):
    other = rows.roll(1, 0)
    value = jensen_shannon(rows, other)
    assert ((value >= 0) & (value <= 1)).all()
    assert torch.equal(jensen_shannon(other, rows), value)
    assert (jensen_shannon(rows, rows) == 0).all()
    order = list(range(rows.shape[-1]))
    random.shuffle(order)
    torch.testing.assert_close(jensen_shannon(rows[:, order], other[:, order]), value, atol=EPS, rtol=EPS)
    expected = [plain_probes.jensen_shannon(p, q) for p, q in zip(rows.tolist(), other.tolist(), strict=True)]
    np.testing.assert_allclose(value.numpy(), expected, atol=1e-12)


@quick
@given(distributions())
def test_maps_that_share_no_patch_are_one_bit_apart(rows):
    nothing = torch.zeros_like(rows)
    value = jensen_shannon(torch.cat([rows, nothing], -1), torch.cat([nothing, rows], -1))
    torch.testing.assert_close(value, torch.ones_like(value), atol=EPS, rtol=0)


@quick
@given(attentions(images=4), st.permutations(range(4)), st.floats(0.01, 1))
def test_map_divergence_of_heads_is_blind_to_the_order_of_images_and_to_what_the_class_token_keeps(
    attention, order, share
):
    base, adapted = attention[..., 0, 1:], attention.flip(-1)[..., 0, 1:]
    value = map_js(base, adapted)
    torch.testing.assert_close(map_js(base[order], adapted[order]), value, atol=EPS, rtol=EPS, equal_nan=True)
    torch.testing.assert_close(map_js(share * base, adapted), value, atol=EPS, rtol=EPS, equal_nan=True)


def test_small_movements_keep_their_digits():
    """Entropies of rows that differ by 1e-9 agree in all but their last digits; their divergence does not vanish."""
    p = torch.full((4,), 0.25, dtype=torch.float64)
    q = p + 1e-9 * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    series = float(((p - q) ** 2 / (p + q)).sum() / 4 / math.log(2))  # to second order
    assert jensen_shannon(p, q).item() == pytest.approx(series, rel=1e-6)


@quick
@given(activation_pairs(), st.randoms(use_true_random=False))
def test_cka_stays_in_its_range_and_is_symmetric_and_blind_to_the_order_of_images(pair, random):
    x, y = pair
    order = list(range(len(x)))
    random.shuffle(order)
    for metric, low in ((linear_cka, 0.0), (linear_cka_debiased, -math.inf)):
        value = metric(x, y)
        assume(value is not None)
        assert low <= value <= 1 + 1e-9
        np.testing.assert_allclose(metric(y, x), value, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(metric(x[order], y[order]), value, rtol=1e-6, atol=1e-9)


@quick
@given(activation_pairs(), st.floats(0.01, 100), st.integers(0, 1000))
def test_cka_is_blind_to_scale_and_rotation(pair, scale, seed):
    x, y = pair
    noise = torch.randn(y.shape[1], y.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turned = scale * y @ torch.linalg.qr(noise).Q
    for metric in (linear_cka, linear_cka_debiased):
        value, found = metric(x, y), metric(x, turned)
        assume(value is not None)
        assume(found is not None)
        np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-8)


@quick
@given(activation_pairs(min_images=1), st.floats(0.01, 100))
def test_embedding_drift_stays_in_its_range_and_ignores_length(pair, scale):
    base, adapted = pair
    value = embedding_drift(base, adapted)
    assert 0 <= value <= 2
    np.testing.assert_allclose(embedding_drift(base, scale * adapted), value, atol=1e-12)
    assert embedding_drift(base, base) == 0
