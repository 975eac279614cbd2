"""A captured step trains as a plain one does, and is chosen only where it was measured to be faster and equal."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from heatdrift.crop_plan import Preprocess
from heatdrift.model.adapt import AdaptedModel
from heatdrift.train import step_choice
from heatdrift.train.loop import Normaliser, Optimisation, PixelSet, train_epoch
from heatdrift.train.step import WARM_UP, CapturedStep, PlainStep, adamw, compiled_blocks, load_state, make_step, set_lr
from heatdrift.train.step_choice import chosen_step, same_losses, tried

CPU = torch.device("cpu")
NORMALISE = Normaliser.of(Preprocess(size=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), CPU)
BATCH = 4


def network(dropout=0.1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 3))


def pixels(n=22):
    generator = torch.Generator().manual_seed(1)
    crops = torch.randint(0, 256, (n, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return PixelSet(crops=crops, labels=torch.arange(n) % 3)


def trained(make, *, captured, epochs=3, dropout=0.1):
    """Losses, parameters and the optimisation after some epochs; `make` turns a plain step into another."""
    model = network(dropout)
    parameters = list(model.parameters())
    optimizer = adamw(parameters, lr=1e-2, weight_decay=0.01, device=CPU, captured=captured)
    plain = PlainStep(model, parameters, optimizer, clip_norm=1.0, bfloat16=False)
    run = Optimisation(
        optimizer=optimizer, peak_lr=1e-2, total_steps=epochs * 6, warmup_fraction=0.1, clip_norm=1.0, batch_size=BATCH,
        bfloat16=False, order=torch.Generator().manual_seed(2), flips=torch.Generator().manual_seed(3),
        step_by=make(plain),
    )  # fmt: skip
    torch.manual_seed(4)
    losses = [train_epoch(model, parameters, pixels(), NORMALISE, run).loss for _ in range(epochs)]
    return losses, [p.detach().clone() for p in parameters], run


class Recorder:
    """Stands for a CUDA graph: capturing runs nothing, replaying runs what was captured, on the tensors of then."""

    def __init__(self):
        self.captures = self.replays = 0

    def __call__(self, run):
        self.captures += 1

        def replay():
            self.replays += 1
            run()

        return replay


def test_a_captured_step_gives_the_bits_of_plain_ones():
    recorder = Recorder()
    plain = trained(lambda _: None, captured=True)
    captured = trained(lambda step: CapturedStep(step, BATCH, recorder), captured=True)
    assert captured[0] == plain[0]
    assert all(torch.equal(a, b) for a, b in zip(plain[1], captured[1], strict=True))
    as_number = trained(lambda _: None, captured=False)  # a learning rate in a tensor is a float32 number
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(as_number[1], captured[1], strict=True))
    # 5 full batches and one smaller in each of 3 epochs: the first ones warm up, the smaller ones are never captured
    assert (recorder.captures, recorder.replays) == (1, 15 - WARM_UP)


def test_a_replay_reads_the_learning_rate_of_its_step():
    _, _, run = trained(lambda step: CapturedStep(step, BATCH, Recorder()), captured=True)
    (group,) = run.optimizer.param_groups
    assert isinstance(group["lr"], torch.Tensor)
    before = group["lr"]
    set_lr(run.optimizer, 0.25)
    assert group["lr"] is before
    assert float(before) == 0.25


def test_what_a_step_gave_survives_the_next_replay():
    model = network()
    parameters = list(model.parameters())
    optimizer = adamw(parameters, lr=1e-2, weight_decay=0.0, device=CPU, captured=True)
    plain = PlainStep(model, parameters, optimizer, clip_norm=1.0, bfloat16=False)
    static = {}

    def capture(run):
        step = captured

        def replay():
            run()
            if "loss" in static:  # as a graph does: the result lies in the same memory each time
                static["loss"].copy_(step._result.loss)
                step._result = step._result._replace(loss=static["loss"])
            else:
                static["loss"] = step._result.loss

        return replay

    captured = CapturedStep(plain, BATCH, capture)
    images = pixels()
    x, labels = NORMALISE(images.crops[:BATCH]), images.labels[:BATCH]
    losses = [captured(x, labels).loss for _ in range(WARM_UP + 3)]
    assert len({float(loss) for loss in losses}) == len(losses)


def test_a_checkpoint_does_not_replace_the_tensor_that_a_step_reads():
    _, _, run = trained(lambda _: None, captured=True)
    kept = copy.deepcopy(run.optimizer.state_dict())
    before = run.optimizer.param_groups[0]["lr"]
    load_state(run.optimizer, kept)
    assert run.optimizer.param_groups[0]["lr"] is before
    plain = trained(lambda _: None, captured=False)[2]
    load_state(plain.optimizer, kept)
    assert isinstance(plain.optimizer.param_groups[0]["lr"], float)


def adapted():
    torch.manual_seed(0)
    visual = nn.Sequential(nn.Flatten(), nn.Linear(48, 8))
    return AdaptedModel(visual=visual, classifier=nn.Linear(8, 3), family=None)


OPTIONS = {"lr": 1e-2, "clip_norm": 1.0, "precision": "float32"}


def test_a_trial_leaves_model_and_generator_as_they_were():
    model, images = adapted(), pixels()
    before, state = model.trained_state(), torch.get_rng_state()
    losses, seconds = tried("plain", model, NORMALISE(images.crops[:BATCH]), images.labels[:BATCH], **OPTIONS)
    assert losses[-1] < losses[0]
    assert seconds > 0
    assert all(torch.equal(before[name], value) for name, value in model.trained_state().items())
    assert all(p.grad is None for p in model.trained())
    assert torch.equal(state, torch.get_rng_state())


GPU_BATCH = SimpleNamespace(device=SimpleNamespace(type="cuda"))


@pytest.mark.parametrize(
    ("wanted", "results", "chosen", "said"),
    [
        ("auto", {"graph": ([1.0, 0.5], 1.0), "compiled": ([1.0, 0.5], 0.5)}, "compiled", ""),
        ("auto", {"graph": ([1.0, 0.5], 1.0), "compiled": RuntimeError("no compiler\nmore")}, "graph", "no compiler"),
        ("auto", {"graph": ([1.0, 0.9], 0.1), "compiled": ([1.0, 0.5], 1.95)}, "plain", "losses are not those"),
        ("auto", {"graph": ([1.0, float("nan")], 0.1), "compiled": RuntimeError("x")}, "plain", "losses are not"),
        ("graph", {"graph": ([1.0, 0.5], 3.0)}, "graph", ""),
        ("compiled", {"compiled": torch.OutOfMemoryError("out of memory")}, "plain", "OutOfMemoryError"),
    ],
)
def test_the_fastest_step_with_the_same_losses_is_chosen(monkeypatch, wanted, results, chosen, said):
    def measured(kind, *_, **__):
        found = {"plain": ([1.0, 0.5], 2.0), **results}[kind]
        if isinstance(found, Exception):
            raise found
        return found

    problems = []
    monkeypatch.setattr(step_choice, "tried", measured)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert chosen_step(wanted, adapted(), GPU_BATCH, None, **OPTIONS, steps=1000, on_problem=problems.append) == chosen
    assert said in " ".join(problems)
    assert bool(problems) == bool(said)


def test_without_cuda_steps_are_plain_and_asking_for_more_is_answered():
    problems = []
    x = torch.zeros(2, 3, 4, 4)
    for wanted in ("off", "auto", "graph"):
        assert chosen_step(wanted, adapted(), x, None, **OPTIONS, steps=1000, on_problem=problems.append) == "plain"
    assert problems == ["--compile graph needs CUDA; cpu takes plain steps"]


def test_losses_agree_to_rounding_only():
    assert same_losses([1.0, 0.5], [1.00005, 0.50002], precision="float32")
    assert not same_losses([1.0, 0.5], [1.001, 0.5], precision="float32")
    assert same_losses([1.0, 0.5], [1.01, 0.505], precision="bfloat16")


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # dynamo looks at a block's input
def test_a_compiled_step_equals_a_plain_one(monkeypatch):
    """Through torch.compile as it is used on CUDA, with the capture left out."""
    from heatdrift.train import step as step_module

    monkeypatch.setattr(step_module, "cuda_graph", Recorder())
    found = []
    for kind in ("graph", "compiled"):
        model = Blocks()
        images, parameters = pixels(), list(model.parameters())
        optimizer = adamw(parameters, lr=1e-2, weight_decay=0.01, device=CPU, captured=True)
        plain = PlainStep(model, parameters, optimizer, clip_norm=1.0, bfloat16=False)
        step = make_step(kind, plain, BATCH, model.blocks)
        x, labels = NORMALISE(images.crops[:BATCH]), images.labels[:BATCH]
        found.append(([float(step(x, labels).loss) for _ in range(WARM_UP + 3)], parameters))
        assert all(type(block) is nn.Sequential for block in model.blocks)  # compiled ones stand there while they run
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found[0][1], found[1][1], strict=True))


def test_compiled_blocks_are_compiled_and_put_back(monkeypatch):
    """torch.compile is given each block, and what evaluates the model later finds plain ones, after an error too."""
    given = []

    class Compiled(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x):
            given.append(self.block)
            return self.block(x)

    monkeypatch.setattr(torch, "compile", lambda block, dynamic: Compiled(block))
    model = Blocks()
    plain, x = list(model.blocks), torch.rand(2, 3, 4, 4)
    logits = compiled_blocks(model, model.blocks)
    assert torch.equal(logits(x), model(x))
    assert given == plain
    with pytest.raises(RuntimeError):
        logits(torch.rand(2, 5))
    assert list(model.blocks) == plain


def test_a_scaled_step_can_be_captured():
    """What is replayed scales the loss and updates the scale in tensors: the bits of plain steps."""
    found = []
    for capture in (False, True):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=2)  # overflows first, then grows
        model = network(dropout=0.0)
        parameters, images = list(model.parameters()), pixels()
        optimizer = adamw(parameters, lr=1e-2, weight_decay=0.01, device=CPU, captured=True)
        plain = PlainStep(model, parameters, optimizer, clip_norm=1.0, bfloat16=False, scaler=scaler)
        step = CapturedStep(plain, BATCH, Recorder()) if capture else plain
        x, labels = NORMALISE(images.crops[:BATCH]), images.labels[:BATCH]
        losses = [float(step(x, labels).loss) for _ in range(40)]
        found.append((losses, parameters, scaler.get_scale()))
    assert found[0][0] == found[1][0]
    assert found[0][0][-1] < found[0][0][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))
    assert found[0][2] == found[1][2] < 2.0**40


class Blocks(nn.Module):
    """A model with blocks, as a transformer has them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(48, 16))
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.GELU()) for _ in range(3))
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def test_auto_compiles_only_what_trains_long(monkeypatch):
    """Compiling takes seconds: a cell of few steps takes the graph, which is ready at once."""
    seen = []

    def measured(kind, *_, **__):
        seen.append(kind)
        return [1.0, 0.5], {"plain": 4.0, "graph": 0.4, "compiled": 0.2}[kind]  # seconds of four steps

    monkeypatch.setattr(step_choice, "tried", measured)
    ask = {**OPTIONS, "on_problem": pytest.fail}
    assert chosen_step("auto", adapted(), GPU_BATCH, None, **ask, steps=100) == "graph"  # 10 s of graph steps
    assert chosen_step("auto", adapted(), GPU_BATCH, None, **ask, steps=300) == "compiled"
    assert chosen_step("compiled", adapted(), GPU_BATCH, None, **ask, steps=100) == "compiled"
    assert seen == ["plain", "graph", "plain", "graph", "compiled", "plain", "compiled"]


def scaled(scale):
    """An epoch in float16 with a scaler of the processor, which does what CUDA's does."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    model = network(dropout=0.0)
    parameters = list(model.parameters())
    optimizer = adamw(parameters, lr=1e-2, weight_decay=0.01, device=CPU, captured=False)
    step = PlainStep(model, parameters, optimizer, clip_norm=1.0, bfloat16=False, scaler=scaler)
    images = pixels()
    x, labels = NORMALISE(images.crops[:BATCH]), images.labels[:BATCH]
    before = [p.detach().clone() for p in parameters]
    results = [step(x, labels) for _ in range(3)]
    return results, before, parameters, scaler


def test_float16_with_a_scaled_loss_trains_as_float32_does_to_its_rounding():
    results, before, parameters, scaler = scaled(2.0**8)
    assert all(bool(r.finite) for r in results)
    assert results[-1].loss < results[0].loss
    model = network(dropout=0.0)
    own = list(model.parameters())
    optimizer = adamw(own, lr=1e-2, weight_decay=0.01, device=CPU, captured=False)
    exact = PlainStep(model, own, optimizer, clip_norm=1.0, bfloat16=False)
    images = pixels()
    x, labels = NORMALISE(images.crops[:BATCH]), images.labels[:BATCH]
    for result in results:
        plain = exact(x, labels)
        assert float(result.loss) == pytest.approx(float(plain.loss), rel=5e-3)
        assert float(result.loss) != float(plain.loss)
    assert not any(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    assert scaler.get_scale() == 2.0**8


def test_a_gradient_that_overflows_is_no_divergence_and_leaves_the_parameters():
    results, before, parameters, scaler = scaled(2.0**120)  # beyond what float16 can hold
    assert all(bool(r.finite) for r in results)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    assert scaler.get_scale() < 2.0**120
