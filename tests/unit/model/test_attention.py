import copy

import open_clip
import pytest
import stubs
import torch
from torch import nn

from heatdrift.errors import ModelError
from heatdrift.model.attention import SplitAttention, attention_blocks, observed, split_attention


class Recorder:
    def __init__(self):
        self.seen = []

    def observe(self, layer, attention):
        self.seen.append((layer, attention.detach().clone()))


def tiny_pair():
    fused = stubs.tiny_clip().visual
    split = copy.deepcopy(fused)
    split_attention(split)
    return fused, split.eval()


def gradients(tower, pixels):
    tower.zero_grad()
    out = tower(pixels)
    direction = torch.linspace(-1, 1, out.numel()).view_as(out)
    (out * direction / direction.norm()).sum().backward()
    return out.detach(), {name: p.grad for name, p in tower.named_parameters()}


def expected_gradients(fused):
    """The fused block's gradients under the names of the split one."""
    found = {}
    for name, grad in fused.items():
        stem, _, last = name.rpartition(".")
        if last in ("in_proj_weight", "in_proj_bias"):
            for part, piece in zip("qkv", grad.chunk(3), strict=True):
                found[f"{stem}.{part}_proj.{last.removeprefix('in_proj_')}"] = piece
        else:
            found[name] = grad
    return found


def assert_equivalent(fused, split, pixels, limit=1e-5):
    out, grads = gradients(fused, pixels)
    for watched in (False, True):
        if watched:
            with observed(split, Recorder()):
                split_out, split_grads = gradients(split, pixels)
        else:
            split_out, split_grads = gradients(split, pixels)
        assert (split_out - out).abs().max() <= limit
        wanted = expected_gradients(grads)
        assert wanted.keys() == split_grads.keys()
        for name, grad in wanted.items():
            assert (split_grads[name] - grad).abs().max() <= limit, name


def test_split_equals_open_clips_fused_block_forward_and_gradient():
    fused, split = tiny_pair()
    assert_equivalent(fused, split, torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(0)))


@pytest.mark.slow  # a ViT-B forward and backward on one core, three times
@pytest.mark.parametrize("name", ["ViT-B-32-quickgelu", "ViT-B-16-quickgelu"])
def test_split_equals_open_clips_fused_block_at_full_size(name):
    torch.manual_seed(0)
    fused = open_clip.create_model(name, load_weights=False).visual.eval()
    split = copy.deepcopy(fused)
    split_attention(split)
    assert_equivalent(fused, split, torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_one_block_equals_torchs_attention_and_its_weights(heads):
    torch.manual_seed(heads)
    fused = nn.MultiheadAttention(16, heads, batch_first=True)
    nn.init.normal_(fused.in_proj_bias)
    nn.init.normal_(fused.out_proj.bias)
    x = torch.randn(2, 5, 16)
    expected, weights = fused(x, x, x, average_attn_weights=False)
    split, recorder = SplitAttention(fused, 7), Recorder()
    torch.testing.assert_close(split(x, x, x)[0], expected, atol=1e-6, rtol=1e-5)
    split.observer = recorder
    torch.testing.assert_close(split(x, x, x)[0], expected, atol=1e-6, rtol=1e-5)
    ((layer, attention),) = recorder.seen
    assert layer == 7
    torch.testing.assert_close(attention, weights, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("watched", [False, True])
def test_an_additive_mask_is_applied_with_and_without_an_observer(watched):
    torch.manual_seed(0)
    fused = nn.MultiheadAttention(16, 2, batch_first=True)
    x = torch.randn(2, 5, 16)
    mask = torch.full((5, 5), -torch.inf).triu(1)
    expected, weights = fused(x, x, x, attn_mask=mask, average_attn_weights=False)
    split, recorder = SplitAttention(fused, 0), Recorder()
    split.observer = recorder if watched else None
    torch.testing.assert_close(split(x, x, x, attn_mask=mask)[0], expected, atol=1e-6, rtol=1e-5)
    if watched:
        torch.testing.assert_close(recorder.seen[0][1], weights, atol=1e-6, rtol=1e-5)


def test_an_observer_sees_every_block_in_order_with_rows_that_sum_to_one():
    _, split = tiny_pair()
    recorder = Recorder()
    with torch.no_grad(), observed(split, recorder):
        split(torch.randn(2, 3, 28, 28))
    assert [layer for layer, _ in recorder.seen] == [0, 1, 2]
    for _, attention in recorder.seen:
        assert attention.shape == (2, stubs.TINY_HEADS, stubs.TINY_PATCHES + 1, stubs.TINY_PATCHES + 1)
        torch.testing.assert_close(attention.sum(-1), torch.ones(2, stubs.TINY_HEADS, stubs.TINY_PATCHES + 1))


def test_the_observer_goes_when_the_context_closes_even_by_an_error():
    _, split = tiny_pair()
    with pytest.raises(RuntimeError, match="stop"), observed(split, Recorder()):
        raise RuntimeError("stop")
    assert [block.observer for block in attention_blocks(split)] == [None] * stubs.TINY_BLOCKS


def test_only_plain_vision_transformers_can_be_split():
    with pytest.raises(ModelError, match="no attention blocks") as caught:
        split_attention(nn.Linear(2, 2))
    assert caught.value.hint
    _, split = tiny_pair()
    with pytest.raises(ModelError, match="block 0") as caught:
        split_attention(split)
    assert caught.value.hint


@pytest.mark.parametrize(
    "unusual",
    [
        {"bias": False},
        {"kdim": 8, "vdim": 8},
        {"dropout": 0.1},
        {"batch_first": False},
        {"add_bias_kv": True},
        {"add_zero_attn": True},
    ],
)
def test_attention_that_the_split_would_change_is_refused(unusual):
    fused = nn.MultiheadAttention(16, 2, **{"batch_first": True, **unusual})
    with pytest.raises(ModelError, match="cannot be split") as caught:
        SplitAttention(fused, 0)
    assert caught.value.hint
