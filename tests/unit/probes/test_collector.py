import copy
from types import SimpleNamespace

import numpy as np
import plain_probes as plain
import pytest
import stubs
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from heatdrift.errors import ProbeError
from heatdrift.model.attention import observed, split_attention
from heatdrift.probes.collector import measure

IMAGES = 6


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(IMAGES, 3, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tower():
    visual = stubs.tiny_clip().visual
    split_attention(visual)
    return visual.eval()


@pytest.fixture(scope="module")
def measured(tower, pixels):
    return measure(tower, [pixels], observed, keep=2)


@pytest.fixture(scope="module")
def expected(pixels):
    """The fused model of open_clip in float64: attention from torch's own averaged-weights path, streams by hooks."""
    fused = stubs.tiny_clip().visual.double()
    attention, streams, normed = [], [], []

    def attend(module, args, _kwargs):
        with torch.no_grad():
            weights = torch.nn.MultiheadAttention.forward(module, *args, need_weights=True, average_attn_weights=False)
        attention.append(weights[1].numpy())

    for block in fused.transformer.resblocks:
        block.attn.register_forward_pre_hook(attend, with_kwargs=True)
        block.register_forward_hook(lambda _m, _i, out: streams.append(out[:, 0].detach().numpy()))
    fused.ln_post.register_forward_hook(lambda _m, _i, out: normed.append(out[:, 0].detach().numpy()))
    with torch.no_grad():
        embeddings = fused(pixels.double()).numpy()
    return SimpleNamespace(attention=attention, streams=np.stack(streams), pooled=normed[0], embeddings=embeddings)


@pytest.mark.parametrize(("name", "metric"), [("entropy", plain.entropy), ("erf95", plain.erf95), ("gini", plain.gini)])
def test_head_probes_equal_the_plain_definition(measured, expected, name, metric):
    plain_heads = np.array([plain.per_head(block, metric) for block in expected.attention])
    assert measured.heads[name].dtype == torch.float64
    np.testing.assert_allclose(measured.heads[name].numpy(), plain_heads, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(measured.layers[name].numpy(), plain_heads.mean(1), rtol=1e-4, atol=1e-6)


def test_class_self_mass_equals_the_plain_definition(measured, expected):
    plain_heads = np.array([plain.cls_self_mass(block) for block in expected.attention])
    np.testing.assert_allclose(measured.heads["cls_self_mass"].numpy(), plain_heads, rtol=1e-4)


def test_layer_probes_equal_the_plain_definition(measured, expected):
    diversity = [plain.head_diversity(block) for block in expected.attention]
    entropies = [plain.patch_entropy(block) for block in expected.attention]
    np.testing.assert_allclose(measured.layers["head_diversity"].numpy(), diversity, rtol=1e-4)
    np.testing.assert_allclose(measured.layers["patch_entropy"].numpy(), entropies, rtol=1e-5)


def test_rollout_equals_the_plain_definition(measured, expected):
    rows = [plain.rollout_row(expected.attention, image) for image in range(IMAGES)]
    assert measured.whole == pytest.approx(
        {
            "rollout_entropy": np.mean([plain.entropy(row, base=2) for row in rows]),
            "rollout_erf95": np.mean([plain.erf95(row) for row in rows]),
            "rollout_gini": np.mean([plain.gini(row) for row in rows]),
        },
        rel=1e-4,
    )
    np.testing.assert_allclose(measured.rollout_maps.float().numpy(), rows[:2], atol=1e-3)


def test_streams_and_embeddings_are_those_of_open_clip(measured, expected):
    np.testing.assert_allclose(measured.activations.numpy(), expected.streams, atol=1e-5)
    np.testing.assert_allclose(measured.pooled.numpy(), expected.pooled, atol=1e-5)
    np.testing.assert_allclose(measured.embeddings.numpy(), expected.embeddings, atol=1e-5)
    assert {measured.activations.dtype, measured.pooled.dtype, measured.embeddings.dtype} == {torch.float32}


def test_kept_maps_are_the_head_means_of_the_first_images(measured, expected):
    maps = np.array(
        [
            [
                np.mean([plain.class_row(block[i, h, 0])[0] for h in range(stubs.TINY_HEADS)], axis=0)
                for block in expected.attention
            ]
            for i in range(2)
        ]
    )
    assert measured.class_maps.dtype == torch.float16
    np.testing.assert_allclose(measured.class_maps.float().numpy(), maps, atol=1e-3)


def test_class_rows_are_the_attention_of_the_class_token(measured, expected):
    assert {rows.dtype for rows in measured.class_rows} == {torch.float32}
    for rows, block in zip(measured.class_rows, expected.attention, strict=True):
        np.testing.assert_allclose(rows.numpy(), block[:, :, 0, 1:], rtol=1e-4, atol=1e-6)


def values(measured):
    return {
        "class rows": torch.stack(measured.class_rows).numpy(),
        **{f"head {k}": v.numpy() for k, v in measured.heads.items()},
        **{f"layer {k}": v.numpy() for k, v in measured.layers.items()},
        **{f"whole {k}": np.array(v) for k, v in measured.whole.items()},
        "activations": measured.activations.numpy(),
        "pooled": measured.pooled.numpy(),
        "embeddings": measured.embeddings.numpy(),
        "class maps": measured.class_maps.float().numpy(),
        "rollout maps": measured.rollout_maps.float().numpy(),
    }


@pytest.mark.parametrize("cut", [1, 2, 4, 5, 100])
def test_the_result_does_not_depend_on_how_batches_are_cut(tower, pixels, cut):
    whole = values(measure(tower, [pixels], observed, keep=3))
    pieces = values(measure(tower, torch.split(pixels, cut), observed, keep=3))
    for name, value in whole.items():
        np.testing.assert_allclose(pieces[name], value, atol=1e-3 if "maps" in name else 1e-5, rtol=1e-5, err_msg=name)


def test_means_over_groups_are_means_of_their_means(tower, pixels, measured):
    """As published: a mean is taken in each batch, then over batches, whatever the order and batches of this pass."""
    groups = torch.tensor([1, 0, 1, 0, 0, 0])  # 4 images and 2, apart from each other
    apart = [measure(tower, [pixels[groups == group]], observed) for group in (0, 1)]
    grouped = measure(tower, torch.split(pixels, 4), observed, keep=2, groups=groups)
    for name in ("entropy", "erf95", "gini", "cls_self_mass"):
        mean = (apart[0].heads[name] + apart[1].heads[name]) / 2
        torch.testing.assert_close(grouped.heads[name], mean, rtol=1e-6, atol=1e-9)
        assert not torch.allclose(grouped.heads[name], measured.heads[name], rtol=1e-9)
    for name in ("head_diversity", "patch_entropy"):
        mean = (apart[0].layers[name] + apart[1].layers[name]) / 2
        torch.testing.assert_close(grouped.layers[name], mean, rtol=1e-5, atol=1e-9, check_dtype=False)
    for name, value in grouped.whole.items():
        assert value == pytest.approx((apart[0].whole[name] + apart[1].whole[name]) / 2, rel=1e-6)
    torch.testing.assert_close(grouped.class_rows[0], measured.class_rows[0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(grouped.class_maps, measured.class_maps, rtol=1e-3, atol=1e-4)


def test_the_order_of_images_matters_to_no_mean(tower, pixels, measured):
    turned = measure(tower, [pixels.flip(0)], observed)
    for name, value in measured.layers.items():
        np.testing.assert_allclose(turned.layers[name].numpy(), value.numpy(), rtol=1e-6, err_msg=name)
    assert turned.whole == pytest.approx(measured.whole, rel=1e-6)


def test_more_maps_asked_for_than_images(tower, pixels):
    found = measure(tower, torch.split(pixels, 4), observed, keep=50)
    assert found.class_maps.shape == (IMAGES, stubs.TINY_BLOCKS, stubs.TINY_PATCHES)
    assert found.rollout_maps.shape == (IMAGES, stubs.TINY_PATCHES)


def test_no_maps_are_kept_unless_asked_for(tower, pixels):
    found = measure(tower, [pixels], observed)
    assert found.class_maps.numel() == found.rollout_maps.numel() == 0


def test_measuring_leaves_no_trace_on_the_tower(tower, pixels):
    before = tower(pixels)
    measure(tower, [pixels], observed)
    assert torch.equal(tower(pixels), before)
    assert all(not module._forward_hooks for module in tower.modules())


def test_the_hooks_go_when_the_data_fail(tower, pixels):
    def batches():
        yield pixels
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        measure(tower, batches(), observed)
    assert all(not module._forward_hooks for module in tower.modules())
    assert all(getattr(module, "observer", None) is None for module in tower.modules())


def test_only_class_rows_outlive_their_batch(tower, pixels):
    """A kept view would hold the whole residual stream of every batch: gigabytes for 200 images on ViT-B/16."""
    outputs = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, out: outputs.append(StorageWeakRef(out.untyped_storage())))
        for module in (*tower.transformer.resblocks, tower.ln_post)
    ]

    def batches():
        for batch in torch.split(pixels, 2):
            assert [ref for ref in outputs if not ref.expired()] == []
            outputs.clear()
            yield batch

    try:
        measure(tower, batches(), observed, keep=1)
    finally:
        for hook in hooks:
            hook.remove()


def test_weights_that_are_not_finite_are_refused(tower, pixels):
    broken = copy.deepcopy(tower)
    with torch.no_grad():
        broken.class_embedding[0] = torch.nan
    with pytest.raises(ProbeError, match="must sum to 1"):
        measure(broken, [pixels], observed)


class Watching:
    """Collector that looks at what it is handed: dtypes, and whether the attention of earlier blocks is gone."""

    def __init__(self, collector):
        self.collector = collector
        self.dtypes, self.refs, self.alive = set(), [], 0

    def observe(self, layer, attention):
        self.alive = max(self.alive, sum(not ref.expired() for ref in self.refs))
        self.dtypes.add(attention.dtype)
        self.collector.observe(layer, attention)
        self.refs.append(StorageWeakRef(attention.untyped_storage()))


def watched(tower, pixels):
    seen = []

    def observe(tower, collector):
        seen.append(Watching(collector))
        return observed(tower, seen[0])

    return measure(tower, pixels, observe, keep=1), seen[0]


def test_no_attention_tensor_outlives_its_block(tower, pixels):
    _, seen = watched(tower, torch.split(pixels, 2))
    assert len(seen.refs) == stubs.TINY_BLOCKS * IMAGES // 2
    assert seen.alive == 0
    assert all(ref.expired() for ref in seen.refs)


def test_a_model_trained_in_bfloat16_is_probed_in_float32(tower, pixels):
    """Even with the training's autocast still open: rounding must not look like drift."""
    trained = copy.deepcopy(tower).requires_grad_(requires_grad=True)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = trained(pixels)
        assert out.dtype == torch.bfloat16
        out.float().square().mean().backward()
    optimizer.step()
    plain, _ = watched(trained, [pixels])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, seen = watched(trained, [pixels])
    assert seen.dtypes == {torch.float32}
    assert {found.activations.dtype, found.pooled.dtype, found.embeddings.dtype} == {torch.float32}
    for name, value in values(plain).items():
        np.testing.assert_array_equal(values(found)[name], value, err_msg=name)
    assert not torch.equal(found.embeddings, measure(tower, [pixels], observed).embeddings)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision_are_refused(tower, pixels, dtype):
    with pytest.raises(ProbeError, match="float") as caught:
        measure(copy.deepcopy(tower).to(dtype), [pixels.to(dtype)], observed)
    assert ".float()" in caught.value.hint
