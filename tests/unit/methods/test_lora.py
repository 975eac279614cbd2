import copy

import open_clip
import peft
import pytest
import stubs
import torch

from heatdrift.errors import StudyError
from heatdrift.methods.families.lora import TARGETS, Lora, adapters
from heatdrift.model.attention import split_attention

ADAPTERS_ALONE = Lora(projection=False)


@pytest.fixture
def tower(backbone):
    return copy.deepcopy(backbone.visual)


def train_adapters(tower, seed=4):
    """Stand-in for training: B is no longer 0."""
    generator = torch.Generator().manual_seed(seed)
    for layer in adapters(tower).values():
        layer.lora_B["default"].weight.data.copy_(
            torch.randn(layer.lora_B["default"].weight.shape, generator=generator) * 0.2
        )


def before_projection(tower, pixels):
    seen = []
    handle = tower.ln_post.register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    with torch.no_grad():
        tower(pixels)
    handle.remove()
    return seen[0]


def count(tower):
    return sum(p.numel() for name, p in tower.named_parameters() if ".lora_" in name)


@pytest.mark.parametrize("rank", [1, 8])
def test_adapter_parameters_by_formula(tower, rank):
    Lora(rank=rank).put_on(tower, 0)
    per_projection = rank * (stubs.TINY_WIDTH + stubs.TINY_WIDTH)
    assert count(tower) == stubs.TINY_BLOCKS * 2 * per_projection


def test_lora_r8_on_vit_b_32_has_294912_adapter_parameters():
    with torch.device("meta"):  # counting needs no numbers
        config = open_clip.get_model_config("ViT-B-32-quickgelu")
        tower = open_clip.model._build_vision_tower(config["embed_dim"], config["vision_cfg"], quick_gelu=True)
        split_attention(tower)
        tower.requires_grad_(requires_grad=False)
        ADAPTERS_ALONE.put_on(tower, 0)
    assert count(tower) == 294_912
    assert sum(p.numel() for p in tower.parameters() if p.requires_grad) == 294_912


def test_adapters_sit_on_q_and_v_of_every_block_and_nowhere_else(tower):
    Lora().put_on(tower, 0)
    wanted = [f"transformer.resblocks.{block}.attn.{part}_proj" for block in range(3) for part in "qv"]
    assert list(adapters(tower)) == wanted


def test_the_targets_are_those_of_the_config(tower):
    Lora(targets=("k", "out")).put_on(tower, 0)
    assert {name.rpartition(".")[2] for name in adapters(tower)} == {"k_proj", "out_proj"}


def test_fresh_adapters_change_nothing(tower, backbone, pixels):
    Lora().put_on(tower, 0)
    assert torch.equal(tower.eval()(pixels), backbone.visual(pixels))


def test_only_adapters_need_a_gradient_and_the_base_keeps_its_weights(tower, backbone):
    ADAPTERS_ALONE.put_on(tower, 0)
    base = dict(backbone.visual.named_parameters())
    for name, parameter in tower.named_parameters():
        assert parameter.requires_grad == (".lora_" in name), name
        if ".lora_" not in name:
            assert torch.equal(parameter, base[name.replace(".base_layer", "")])


def test_same_seed_same_adapters_and_the_global_generator_is_left_alone(backbone):
    drawn = []
    for seed in (1, 1, 2):
        tower = copy.deepcopy(backbone.visual)
        before = torch.get_rng_state()
        Lora().put_on(tower, seed)
        assert torch.equal(torch.get_rng_state(), before)
        drawn.append(torch.cat([layer.lora_A["default"].weight.flatten() for layer in adapters(tower).values()]))
        torch.rand(3)  # what was drawn elsewhere before does not matter
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_dropout_is_live_in_training_and_off_in_evaluation(tower, pixels):
    Lora(dropout=0.5).put_on(tower, 0)
    train_adapters(tower)
    tower.train()
    torch.manual_seed(0)
    first = tower(pixels)
    assert not torch.equal(first, tower(pixels))
    torch.manual_seed(0)
    assert torch.equal(first, tower(pixels))
    tower.eval()
    assert torch.equal(tower(pixels), tower(pixels))


def test_adapters_off_equal_the_base_before_the_projection(tower, backbone, pixels):
    Lora().put_on(tower, 0)
    train_adapters(tower)
    tower.eval()
    base = before_projection(backbone.visual, pixels)
    live = before_projection(tower, pixels)
    assert (live - base).abs().max() > 1e-3
    with Lora().switched_off(tower, backbone.visual):
        assert torch.equal(before_projection(tower, pixels), base)
    assert torch.equal(before_projection(tower, pixels), live)


def test_disabling_restores_what_needs_a_gradient_even_after_an_error(tower, backbone):
    ADAPTERS_ALONE.put_on(tower, 0)
    before = {name: p.requires_grad for name, p in tower.named_parameters()}
    with pytest.raises(RuntimeError, match="stop"), ADAPTERS_ALONE.switched_off(tower, backbone.visual):
        raise RuntimeError("stop")
    assert {name: p.requires_grad for name, p in tower.named_parameters()} == before
    assert not any(layer.disable_adapters for layer in adapters(tower).values())


def test_merged_equals_unmerged(tower, pixels):
    Lora().put_on(tower, 0)
    train_adapters(tower)
    tower.eval()
    with torch.no_grad():
        unmerged = tower(pixels)
        for layer in adapters(tower).values():
            layer.merge()
        merged = tower(pixels)
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=0)


def test_updates_added_to_the_base_give_the_same_tower(tower, backbone, pixels):
    lora = Lora(rank=4, alpha=2.0)
    lora.put_on(tower, 0)
    train_adapters(tower)
    tower.eval()
    added = copy.deepcopy(backbone.visual)
    with torch.no_grad():
        for name, update in lora.updates(tower, backbone.visual).items():
            added.get_parameter(name).add_(update)
        torch.testing.assert_close(added(pixels), tower(pixels), atol=1e-5, rtol=0)


def test_a_tower_without_adapters_has_no_updates(backbone):
    assert adapters(backbone.visual) == {}
    assert Lora().updates(backbone.visual, backbone.visual) == {}


def test_the_chosen_blocks_alone_are_adapted(tower):
    Lora(targets=("c_fc", "q"), blocks="1-2").put_on(tower, 0)
    wanted = [f"transformer.resblocks.{block}.{part}" for block in (1, 2) for part in ("attn.q_proj", "mlp.c_fc")]
    assert list(adapters(tower)) == wanted


def test_every_target_is_a_linear_layer_of_a_block(tower):
    Lora(targets=tuple(TARGETS)).put_on(tower, 0)
    linear = [n for n, m in tower.named_modules() if isinstance(m, torch.nn.Linear) and ".lora_" not in n]
    assert sorted(adapters(tower)) == sorted(name.removesuffix(".base_layer") for name in linear)


def test_a_block_that_the_tower_does_not_have_is_refused(tower):
    with pytest.raises(StudyError, match="block 3 of a backbone that has 3 blocks"):
        Lora(blocks="1,3").put_on(tower, 0)


def test_a_fused_block_is_refused_instead_of_adapted_otherwise(backbone):
    """On torch's fused attention peft adapts q, k, v in one matrix and the output: another LoRA, quietly."""
    fused = stubs.tiny_clip().visual
    with pytest.raises(ValueError, match="not found"):
        Lora().put_on(fused, 0)
    assert adapters(fused) == {}

    trap = peft.inject_adapter_in_model(peft.LoraConfig(r=8, target_modules=r".*\.attn"), fused)
    ours = copy.deepcopy(backbone.visual)
    Lora().put_on(ours, 0)
    assert count(trap) != count(ours)
    assert any(name.endswith("out_proj") for name in adapters(trap))
