import pytest
import stubs
import torch

from heatdrift.methods import METHODS
from heatdrift.methods.families.lora import adapters
from heatdrift.model.adapt import CLASSIFIER_STD, adapt

CLASSES = 5
LAST = f"visual.transformer.resblocks.{stubs.TINY_BLOCKS - 1}."
Q_AND_V = ("attn.q_proj", "attn.v_proj")
ALL_LINEAR = (*Q_AND_V, "attn.k_proj", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")


def adapter_names(layers, factors=("lora_A", "lora_B")):
    return {
        f"visual.transformer.resblocks.{block}.{layer}.{factor}.default.weight"
        for block in range(stubs.TINY_BLOCKS)
        for layer in layers
        for factor in factors
    }


ADAPTERS = adapter_names(Q_AND_V)
HEAD = {"classifier.weight", "classifier.bias"}


def wanted_parameters(method, backbone):
    """What each method trains (docs/methods.md); a new method is one more entry here."""
    tower = {f"visual.{name}" for name, _ in backbone.visual.named_parameters()}
    return {
        "full_ft": tower | HEAD,
        "full_ft_l2sp": tower | HEAD,
        "full_ft_distill": tower | HEAD,
        "lora_r8": ADAPTERS | {"visual.proj"} | HEAD,
        "lora_r8_frozen_proj": ADAPTERS | HEAD,
        "last_block": {n for n in tower if n.startswith((LAST, "visual.ln_post."))} | HEAD,
        "last_block_proj": {n for n in tower if n.startswith((LAST, "visual.ln_post.", "visual.proj"))} | HEAD,
        "linear_probe": HEAD,
        "lora_r8_all": adapter_names(ALL_LINEAR) | {"visual.proj"} | HEAD,
        "dora_r8": ADAPTERS | adapter_names(Q_AND_V, ["lora_magnitude_vector"]) | {"visual.proj"} | HEAD,
        "bitfit": {n for n in tower if n.endswith(".bias")} | HEAD,
    }[method]


def adapted(backbone, method, *, classifier_seed=1, adapter_seed=2):
    return adapt(backbone, METHODS[method], CLASSES, classifier_seed=classifier_seed, adapter_seed=adapter_seed)


def step(model, pixels):
    """One optimiser step in training mode."""
    optimizer = torch.optim.AdamW(model.trained(), lr=1e-2)
    model.train_mode(on=True)
    loss = torch.nn.functional.cross_entropy(model.logits(pixels), torch.arange(len(pixels)) % CLASSES)
    loss.backward()
    optimizer.step()
    model.train_mode(on=False)


@pytest.mark.parametrize("method", METHODS)
def test_exactly_the_methods_parameters_are_trained(backbone, pixels, method):
    model = adapted(backbone, method)
    names = {id(p): n for n, p in model._named()}
    before = {n: p.detach().clone() for n, p in model._named()}
    assert {names[id(p)] for p in model.trained()} == wanted_parameters(method, backbone)
    assert model.trained_state().keys() == wanted_parameters(method, backbone)
    for _ in range(2):  # an adapter's A has no gradient as long as B is 0
        step(model, pixels)
    unbiased = {n for n in before if n.endswith("k_proj.bias")}  # softmax ignores it: its gradient is rounding
    moved = {n for n, p in model._named() if not torch.equal(p, before[n])}
    assert moved - unbiased == wanted_parameters(method, backbone) - unbiased


@pytest.mark.parametrize("method", METHODS)
def test_training_a_copy_leaves_the_backbone_alone(backbone, pixels, method):
    before = {n: p.clone() for n, p in backbone.visual.named_parameters()}
    step(adapted(backbone, method), pixels)
    assert not any(p.requires_grad for p in backbone.clip.parameters())
    assert all(torch.equal(p, before[n]) for n, p in backbone.visual.named_parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_fresh_model_is_in_eval_mode_and_embeds_like_the_base(backbone, pixels, method):
    """Adapters must not come with live dropout: what is measured before training is the base."""
    model = adapted(backbone, method)
    assert [n for n, module in model.visual.named_modules() if module.training] == []
    assert torch.equal(model.visual(pixels), backbone.visual(pixels))


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_state_restores_the_model_exactly(backbone, pixels, method):
    model = adapted(backbone, method)
    step(model, pixels)
    state, logits = model.trained_state(), model.logits(pixels)
    step(model, pixels)
    assert not torch.equal(model.logits(pixels), logits)
    model.restore(state)
    assert torch.equal(model.logits(pixels), logits)
    fresh = adapted(backbone, method, classifier_seed=8, adapter_seed=9)
    fresh.restore(state)
    assert torch.equal(fresh.logits(pixels), logits)


def test_train_mode_switches_the_adapters_dropout(backbone):
    model = adapted(backbone, "lora_r8")
    for on in (True, False):
        model.train_mode(on=on)
        assert {layer.lora_dropout["default"].training for layer in adapters(model.visual).values()} == {on}


def test_the_classifier_starts_at_n_0_001_with_bias_0(backbone):
    classifier = adapt(backbone, METHODS["linear_probe"], 2000, classifier_seed=3, adapter_seed=0).classifier
    weight = classifier.weight.detach().double()
    n = weight.numel()
    assert classifier.weight.shape == (2000, stubs.TINY_DIM)
    assert torch.count_nonzero(classifier.bias) == 0
    assert abs(weight.mean()) < 4 * CLASSIFIER_STD / n**0.5
    assert weight.std().item() == pytest.approx(0.01, rel=4 / (2 * n) ** 0.5)
    kurtosis = ((weight / weight.std()) ** 4).mean().item()
    assert kurtosis == pytest.approx(3, abs=0.2)  # 1.8 if it were uniform


def test_the_classifier_of_torch_is_what_nn_linear_draws(backbone):
    """Uniform weights and a random bias, as the published matrix started."""
    made = adapt(
        backbone, METHODS["linear_probe"], 7, classifier_seed=3, adapter_seed=0, classifier_init="torch"
    ).classifier
    with torch.random.fork_rng():
        torch.manual_seed(3)
        plain = torch.nn.Linear(stubs.TINY_DIM, 7)
    assert torch.equal(made.weight, plain.weight)
    assert torch.equal(made.bias, plain.bias)
    assert torch.count_nonzero(made.bias) == 7


def test_logits_are_the_classifier_on_the_unnormalised_embedding(backbone, pixels):
    model = adapted(backbone, "full_ft")
    expected = backbone.visual(pixels) @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model.logits(pixels), expected)


@pytest.mark.parametrize("method", METHODS)
def test_same_seeds_same_model(backbone, method):
    torch.rand(2)  # the global generator has no part in it
    first, second = adapted(backbone, method).trained_state(), adapted(backbone, method).trained_state()
    assert all(torch.equal(first[n], second[n]) for n in first)


def test_classifier_and_adapters_are_drawn_independently(backbone):
    first = adapted(backbone, "lora_r8").trained_state()
    other_head = adapted(backbone, "lora_r8", classifier_seed=7).trained_state()
    other_adapters = adapted(backbone, "lora_r8", adapter_seed=7).trained_state()
    drawn = {n for n in ADAPTERS if ".lora_A." in n}
    assert {n for n in first if not torch.equal(first[n], other_head[n])} == {"classifier.weight"}
    assert {n for n in first if not torch.equal(first[n], other_adapters[n])} == drawn


def test_methods_start_from_the_same_classifier(backbone):
    """A comparison at matched seeds must not compare two initialisations."""
    heads = [adapted(backbone, method).classifier.weight for method in METHODS]
    assert all(torch.equal(head, heads[0]) for head in heads)
