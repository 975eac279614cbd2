import io
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
import stubs
import torch
from PIL import Image
from torch import nn

from heatdrift.crop_plan import Preprocess
from heatdrift.methods import METHODS
from heatdrift.model.adapt import adapt
from heatdrift.model.attention import observed
from heatdrift.model.backbone import load_backbone
from heatdrift.probes.collector import measure
from heatdrift.probes.compare import probe_values
from heatdrift.probes.weights import OF_WEIGHTS, weight_probes
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.loop import Normaliser, Optimisation, PixelSet, steps_per_epoch, train_epoch
from heatdrift.train.schedule import derived_seed, lr_factor

CLASSES = 3
PLAIN = Preprocess(size=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
NORMALISE = Normaliser.of(PLAIN, torch.device("cpu"))


def random_pixels(n=10, size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    crops = torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)
    return PixelSet(crops=crops, labels=torch.arange(n) % CLASSES)


def linear_model(seed=0):
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, CLASSES))
    with torch.no_grad():
        model[1].weight.normal_(generator=torch.Generator().manual_seed(seed))
        model[1].bias.zero_()
    return model


def optimisation(parameters, *, lr=0.1, total=9, batch=4, seed=0, optimizer=None, clip=1.0, bfloat16=False):
    return Optimisation(
        optimizer=optimizer or torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01),
        peak_lr=lr,
        total_steps=total,
        warmup_fraction=0.05,
        clip_norm=clip,
        batch_size=batch,
        bfloat16=bfloat16,
        order=torch.Generator().manual_seed(derived_seed(seed, "order")),
        flips=torch.Generator().manual_seed(derived_seed(seed, "flips")),
    )


def one_epoch(model, pixels, run, normalise=NORMALISE):
    return train_epoch(model, list(model.parameters()), pixels, normalise, run)


def plain_epoch(weight, bias, pixels, *, lr, total, batch, clip):
    """Softmax regression by gradient descent in float64, one image at a time, drawing the same orders and flips."""
    order_generator = torch.Generator().manual_seed(derived_seed(0, "order"))
    flips_generator = torch.Generator().manual_seed(derived_seed(0, "flips"))
    order = torch.randperm(len(pixels), generator=order_generator).tolist()
    losses, hits = [], 0
    for step, start in enumerate(range(0, len(order), batch)):
        chosen = order[start : start + batch]
        flips = (torch.rand(len(chosen), generator=flips_generator) < 0.5).tolist()
        grad_weight, grad_bias = np.zeros_like(weight), np.zeros_like(bias)
        for position, flip in zip(chosen, flips, strict=True):
            picture = pixels.crops[position].numpy().astype(np.float64) / 255
            x = (picture[:, :, ::-1] if flip else picture).ravel()
            label = int(pixels.labels[position])
            scores = weight @ x + bias
            p = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            losses.append(-math.log(p[label]))
            hits += int(scores.argmax() == label)
            error = p - np.eye(CLASSES)[label]
            grad_weight += np.outer(error, x) / len(chosen)
            grad_bias += error / len(chosen)
        norm = math.sqrt((grad_weight**2).sum() + (grad_bias**2).sum())
        scale = min(1.0, clip / norm) * lr * lr_factor(step, total, 0.05)
        weight, bias = weight - scale * grad_weight, bias - scale * grad_bias
    return weight, bias, np.mean(losses), 100 * hits / len(pixels)


@pytest.mark.parametrize("clip", [0.3, 1000.0])
def test_an_epoch_equals_plain_gradient_descent(clip):
    pixels, model = random_pixels(), linear_model()
    start = [p.detach().double().numpy() for p in model.parameters()]
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    run = optimisation(model.parameters(), optimizer=sgd, clip=clip)
    found = one_epoch(model, pixels, run)
    weight, bias, loss, acc = plain_epoch(*start, pixels, lr=0.1, total=9, batch=4, clip=clip)
    assert found.loss == pytest.approx(loss, rel=1e-5)
    assert found.acc_pct == pytest.approx(acc)
    assert not found.diverged
    np.testing.assert_allclose(model[1].weight.detach().numpy(), weight, atol=1e-5)
    np.testing.assert_allclose(model[1].bias.detach().numpy(), bias, atol=1e-5)


def test_the_loss_of_an_epoch_is_the_mean_over_images_or_over_batches():
    """10 images in batches of 4, 4 and 2: over batches, the last two weigh twice as much."""
    losses = {}
    for of_batches in (False, True):
        pixels, model, seen = random_pixels(), linear_model(), []

        def logits(x, model=model, seen=seen):
            scores = model(x)
            seen.append(scores.detach())
            return scores

        run = replace(optimisation(model.parameters(), lr=0.0), loss_of_batches=of_batches)
        order = torch.randperm(10, generator=torch.Generator().manual_seed(derived_seed(0, "order")))
        losses[of_batches] = train_epoch(logits, list(model.parameters()), pixels, NORMALISE, run).loss
        parts = zip(seen, torch.split(pixels.labels[order], 4), strict=True)
        single = [torch.nn.functional.cross_entropy(s, y, reduction="none") for s, y in parts]
        expected = torch.stack([s.mean() for s in single]) if of_batches else torch.cat(single)
        assert losses[of_batches] == pytest.approx(expected.mean().item(), rel=1e-5)
    assert abs(losses[True] - losses[False]) > 1e-4


def test_a_warm_up_from_zero_leaves_the_first_step_still():
    pixels, model = random_pixels(n=4), linear_model()
    before = [p.detach().clone() for p in model.parameters()]
    run = replace(optimisation(model.parameters(), total=40), warmup_from_zero=True)
    one_epoch(model, pixels, run)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    one_epoch(model, pixels, run)
    assert not all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_every_image_is_seen_once_an_epoch_in_a_new_order_upright_or_mirrored():
    pixels, model, seen = random_pixels(n=41), linear_model(), []

    def logits(x):
        seen.append(x)
        return model(x)

    run = optimisation(model.parameters(), total=22)
    epochs = []
    for _ in range(2):
        seen.clear()
        train_epoch(logits, list(model.parameters()), pixels, NORMALISE, run)
        assert [len(batch) for batch in seen] == [4] * 10 + [1]
        upright, found = NORMALISE(pixels.crops), []
        for image in torch.cat(seen):
            same = (upright == image).flatten(1).all(1).nonzero().flatten().tolist()
            mirrored = (upright.flip(-1) == image).flatten(1).all(1).nonzero().flatten().tolist()
            assert len(same) + len(mirrored) == 1
            found.append((same or mirrored)[0])
        assert sorted(found) == list(range(41))
        epochs.append(found)
    assert epochs[0] != epochs[1]
    assert run.step == 22


def test_the_learning_rate_follows_the_schedule_by_step_across_epochs():
    pixels, model, used = random_pixels(), linear_model(), []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            used.append(self.param_groups[0]["lr"])
            return super().step(closure)

    run = optimisation(model.parameters(), optimizer=Spy(model.parameters(), lr=9.0))
    for _ in range(3):
        one_epoch(model, pixels, run)
    assert used == [0.1 * lr_factor(step, 9, 0.05) for step in range(9)]


def test_order_and_flips_have_streams_of_their_own():
    """Dropout or another model must not change which image comes when."""
    pixels, orders = random_pixels(n=12), []
    for draws in (0, 5):
        model, seen = linear_model(), []

        def logits(x, model=model, seen=seen, draws=draws):
            torch.rand(draws)
            seen.append(x)
            return model(x)

        train_epoch(logits, list(model.parameters()), pixels, NORMALISE, optimisation(model.parameters()))
        orders.append(torch.cat(seen))
    assert torch.equal(*orders)


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_does_not():
    results = []
    for seed in (1, 1, 2):
        model = linear_model()
        one_epoch(model, random_pixels(), optimisation(model.parameters(), seed=seed))
        results.append(model[1].weight.detach().clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_loss_that_is_not_finite_ends_the_epoch_before_the_step():
    pixels, model = random_pixels(), linear_model()
    before, calls = model[1].weight.detach().clone(), []

    def logits(x):
        calls.append(len(x))
        return model(x) * (torch.nan if len(calls) == 1 else 1.0)

    run = optimisation(model.parameters())
    found = train_epoch(logits, list(model.parameters()), pixels, NORMALISE, run)
    assert found.diverged
    assert math.isnan(found.loss)
    assert calls == [4]
    assert run.step == 0
    assert torch.equal(model[1].weight, before)


def test_a_gradient_that_is_not_finite_ends_the_epoch_before_the_step():
    pixels, model = random_pixels(), linear_model()
    before = model[1].weight.detach().clone()
    model[1].weight.register_hook(lambda grad: grad * torch.inf)
    found = one_epoch(model, pixels, optimisation(model.parameters()))
    assert found.diverged
    assert torch.equal(model[1].weight, before)


def test_bfloat16_computes_the_scores_only():
    pixels, model, seen = random_pixels(), linear_model(), []

    def logits(x):
        scores = model(x)
        seen.append(scores.dtype)
        return scores

    found = train_epoch(
        logits, list(model.parameters()), pixels, NORMALISE, optimisation(model.parameters(), bfloat16=True)
    )
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert math.isfinite(found.loss)


@pytest.mark.parametrize(("n", "batch", "steps"), [(10, 4, 3), (8, 4, 2), (1, 4, 1), (5, 5, 1)])
def test_steps_per_epoch(n, batch, steps):
    assert steps_per_epoch(n, batch) == steps


def test_normalisation_is_open_clips_evaluation_transform():
    preprocess = Preprocess(size=28, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD)
    transform = open_clip.image_transform(28, is_train=False, mean=preprocess.mean, std=preprocess.std)
    crop = random_pixels(n=1, size=28).crops[0]
    expected = transform(Image.fromarray(crop.permute(1, 2, 0).numpy()))
    found = Normaliser.of(preprocess, torch.device("cpu"))(crop[None])[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_batches_are_in_order_and_complete():
    pixels = random_pixels(n=7)
    batches = list(NORMALISE.batches(pixels, size=3))
    assert [len(b) for b in batches] == [3, 3, 1]
    assert torch.equal(torch.cat(batches), NORMALISE(pixels.crops))


def test_accuracy_counts_hits_over_all_batches():
    pixels = random_pixels(n=600)
    model = linear_model()
    expected = sum(int(model(NORMALISE(pixels.crops[i : i + 1])).argmax()) == int(pixels.labels[i]) for i in range(600))
    parts = SimpleNamespace(visual=model[0], classifier=model[1])
    assert Evaluation(normalise=NORMALISE).accuracy_pct(parts, pixels) == 100 * expected / 600


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The tiny backbone with class-dependent pictures."""
    folder = tmp_path_factory.mktemp("lab")
    backbone = load_backbone(stubs.write_tiny_backbone(folder), folder, torch.device("cpu"))
    stubs.write_image_parquet(folder / "p.parquet", classes=CLASSES, per_class=8, size=28, seed=0)
    table = pq.read_table(folder / "p.parquet")
    pictures = [np.asarray(Image.open(io.BytesIO(data))) for data in table["image"].to_pylist()]
    pixels = PixelSet(
        crops=torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()),
        labels=torch.tensor(table["label"].to_pylist()),
    )
    normalise = Normaliser.of(backbone.preprocess, torch.device("cpu"))
    return SimpleNamespace(backbone=backbone, pixels=pixels, normalise=normalise)


def train(lab, method, *, lr, epochs):
    model = adapt(lab.backbone, METHODS[method], CLASSES, classifier_seed=1, adapter_seed=2)
    run = optimisation(model.trained(), lr=lr, batch=8, total=epochs * 3)
    torch.manual_seed(3)
    results = []
    for _ in range(epochs):
        model.train_mode(on=True)
        results.append(train_epoch(model.logits, model.trained(), lab.pixels, lab.normalise, run))
        model.train_mode(on=False)
    return model, results


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns(lab, method):
    model, results = train(lab, method, lr=3e-2 if method == "linear_probe" else 1e-2, epochs=5)
    assert results[-1].loss < 0.8 * results[0].loss
    assert Evaluation(normalise=lab.normalise).accuracy_pct(model, lab.pixels) > 60


@pytest.mark.parametrize("method", METHODS)
def test_the_same_cell_twice_is_the_same_bit_for_bit(lab, method):
    (first, results), (second, again) = (train(lab, method, lr=1e-3, epochs=2) for _ in range(2))
    assert results == again
    state, other = first.trained_state(), second.trained_state()
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("method", METHODS)
def test_learning_rate_zero_is_the_base_exactly(lab, method):
    """The negative control: nothing may drift, and similarity to the base is 1 to the last bit."""
    model, _ = train(lab, method, lr=0.0, epochs=1)
    reference = lab.backbone.visual
    towers, batches = (reference, model.visual), list(lab.normalise.batches(lab.pixels, 250))
    base, adapted = (measure(tower, batches, observed) for tower in towers)
    weights = weight_probes(reference, model.visual, model.family.updates(model.visual, reference))
    itself = probe_values(base, base, weights=dict.fromkeys(OF_WEIGHTS, 0.0))
    found = probe_values(base, adapted, weights=weights)
    assert found == itself
    assert found.means["cka"] == found.means["cka_debiased"] == 1
    assert found.means["map_js"] == 0
    assert found.means["embedding_drift"] == found.means["weight_drift"] == found.means["proj_drift"] == 0
