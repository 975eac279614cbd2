"""One table of what an accelerator does, in at most five minutes: steps of each kind, evaluation, and the usual loop.

    python tests/benchmarks/bench_gpu.py FOLDER [--device cuda] [--quick]

Images a second of training (ViT-B/32, batch 64) for plain, captured and compiled steps, whether their losses are those
of plain ones, evaluation in float32 and bfloat16, and the loop of usual_loop.py on the same pictures; then the parts of
one whole cell. --device cpu --quick runs the same with a few small batches, to see that it works.
"""

import argparse
import sys
import time
from pathlib import Path

import bench_cell
import torch

from heatdrift.config import BackboneSpec
from heatdrift.methods import METHODS
from heatdrift.model.adapt import adapt
from heatdrift.model.backbone import load_backbone
from heatdrift.train.loop import Normaliser
from heatdrift.train.step import PlainStep, adamw, loss_scaler, make_step
from heatdrift.train.step_choice import same_losses, tried


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def images_per_s(run, n_images: int, device: torch.device) -> float:
    """Images a second of `run`, after one that is not timed."""
    run()
    wait(device)
    started = time.perf_counter()
    run()
    wait(device)
    return n_images / (time.perf_counter() - started)


def training(
    backbone, method: str, kind: str, *, precision: str, batch: int, steps: int, device
) -> tuple[float, float]:
    """Images a second of training steps on crops that lie on the device, and seconds until they run at that speed."""
    model = adapt(backbone, METHODS[method], 10, classifier_seed=1, adapter_seed=2)
    model.train_mode(on=True)
    parameters = model.trained()
    optimizer = adamw(parameters, lr=1e-5, weight_decay=0.01, device=device, captured=kind != "plain")
    scaler = loss_scaler(device) if precision == "float16" else None
    half = precision == "bfloat16"
    plain = PlainStep(model.logits, parameters, optimizer, clip_norm=1.0, bfloat16=half, scaler=scaler)
    step = make_step(kind, plain, batch, model.blocks)
    size = backbone.preprocess.size
    crops = torch.randint(0, 256, (8 * batch, 3, size, size), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 10, (8 * batch,), device=device)
    normalise = Normaliser.of(backbone.preprocess, device)

    def run() -> None:
        for i in range(steps):
            chosen = slice(i % 8 * batch, i % 8 * batch + batch)
            step(normalise(crops[chosen]), labels[chosen])

    started = time.perf_counter()
    run()
    wait(device)
    speed = images_per_s(run, steps * batch, device)
    return speed, time.perf_counter() - started - 3 * steps * batch / speed


def agreement(backbone, method: str, kind: str, *, precision: str, batch: int, device) -> str:
    """Whether a kind of step gives the losses of plain ones."""
    model = adapt(backbone, METHODS[method], 10, classifier_seed=1, adapter_seed=2)
    size = backbone.preprocess.size
    x = torch.randn(batch, 3, size, size, device=device)
    labels = torch.arange(batch, device=device) % 10
    how = {"lr": 1e-5, "clip_norm": 1.0, "precision": precision}
    plain, other = (tried(k, model, x, labels, **how)[0] for k in ("plain", kind))
    largest = max(abs(a - b) for a, b in zip(plain, other, strict=True))
    return f"{'yes' if same_losses(plain, other, precision=precision) else 'NO'} ({largest:.1e})"


@torch.inference_mode()
def evaluation(backbone, *, bfloat16: bool, batch: int, steps: int, device) -> float:
    size = backbone.preprocess.size
    crops = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=device)
    normalise = Normaliser.of(backbone.preprocess, device)

    def run() -> None:
        for _ in range(steps):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                backbone.visual(normalise(crops))

    return images_per_s(run, steps * batch, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    device = torch.device(given.device)
    batch, steps, n = (4, 4, 20) if given.quick else (64, 40, 3000)
    sizes = {"train": n, "val": 10 if given.quick else 300, "probe": 20 if given.quick else 200}
    sizes |= {"test": n, "transfer": n, "track": n // 2}
    bench_cell.write_inputs(given.folder, sizes)
    spec = BackboneSpec(name="vitb32", config="vitb32.json", weights="vitb32.safetensors")
    backbone = load_backbone(spec, given.folder, device)
    what = torch.cuda.get_device_name() if device.type == "cuda" else given.device
    say(f"{what}, torch {torch.__version__}, ViT-B/32, batch {batch}: training, images a second\n")
    say("| method | precision | plain | graph | compiled | graph equal | compiled equal | compiled ready after, s |")
    say("|---|---|---|---|---|---|---|---|")
    on_cuda = device.type == "cuda"
    kinds = ("plain", "graph", "compiled") if on_cuda else ("plain",)
    for method in ("full_ft", "lora_r8"):
        for precision in ("float32", "bfloat16", *(["float16"] if on_cuda else [])):
            how = {"precision": precision, "batch": batch, "device": device}
            cells, ready = [], 0.0
            for kind in ("plain", "graph", "compiled"):
                try:
                    speed, ready = (
                        training(backbone, method, kind, steps=steps, **how) if kind in kinds else (float("nan"), 0.0)
                    )
                    cells.append(f"{speed:.0f}")
                except Exception as error:  # noqa: BLE001  the other rows are worth having
                    cells.append(f"{type(error).__name__}: {str(error).splitlines()[0][:120]}")
            for kind in ("graph", "compiled"):
                try:
                    cells.append(agreement(backbone, method, kind, **how) if kind in kinds else "-")
                except Exception as error:  # noqa: BLE001
                    cells.append(type(error).__name__)
            say(f"| {method} | {precision} | {' | '.join(cells)} | {ready:.1f} |")
    rates = [evaluation(backbone, bfloat16=b, batch=250 if not given.quick else 4, steps=steps, device=device)
             for b in (False, True)]  # fmt: skip
    say(f"\nevaluation, images a second: float32 {rates[0]:.0f}, bfloat16 {rates[1]:.0f}")
    say("\none cell, seconds by part (usual loop: transformers and peft, DataLoader)\n")
    say("| method | precision | part | usual loop | first cell | next cell | ratio |")
    say("|---|---|---|---|---|---|---|")
    for method, precision in (("full_ft", "float32"), ("lora_r8", "bfloat16")):
        cell = argparse.Namespace(
            method=method, precision=precision, compile="auto", batch=batch, epochs=1, workers=given.workers
        )
        first, second = bench_cell.ours(given.folder, sizes, cell, device)
        loop = bench_cell.theirs(given.folder, sizes, cell, device)
        for part in ("train", "evaluate", "probe", "whole"):
            row = [loop[part], first[part], second[part], loop[part] / second[part]]
            say(f"| {method} | {precision} | {part} | {' | '.join(f'{value:.2f}' for value in row)} |")
    if device.type == "cuda":
        say(f"\npeak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
