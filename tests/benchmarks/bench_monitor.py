"""Processor time of one monitored step of the lab's tower next to an epoch of full fine-tuning: one thread.

python tests/benchmarks/bench_monitor.py
"""

import copy
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from heatdrift.config import BackboneSpec
from heatdrift.model.backbone import load_backbone
from heatdrift.train.monitor import MONITOR_IMAGES, DriftMonitor

BATCH, REPEATS = 32, 7


def median_s(run) -> float:
    taken = []
    for number in range(REPEATS + 1):
        start = time.process_time()
        run(number + 1)
        taken.append(time.process_time() - start)
    return statistics.median(taken[1:])


def main() -> None:
    torch.set_num_threads(1)
    backbone = load_backbone(BackboneSpec(name="lab"), Path(), torch.device("cpu"))
    size = backbone.preprocess.size
    tower = copy.deepcopy(backbone.visual).requires_grad_(requires_grad=True)
    classifier = nn.Linear(backbone.embed_dim, 10)
    optimizer = torch.optim.AdamW([*tower.parameters(), *classifier.parameters()], lr=1e-5)
    pixels, labels = torch.randn(BATCH, 3, size, size), torch.randint(0, 10, (BATCH,))

    def train(_step: int) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier(tower(pixels)), labels).backward()
        optimizer.step()

    step_s = median_s(train)
    sys.stdout.write(f"step of {BATCH} images: {step_s:.3f} s\n")
    for n in (8, 16, MONITOR_IMAGES, 64):
        monitor = DriftMonitor(backbone.visual, torch.randn(n, 3, size, size), n_images=n)
        cost = median_s(lambda step, monitor=monitor: monitor.measure(tower, step))
        shares = ", ".join(f"{100 * cost / (step_s * images / BATCH):.1f} % of {images}" for images in (200, 800))
        sys.stdout.write(f"monitor with {n} images: {cost:.3f} s; of an epoch: {shares} images\n")


if __name__ == "__main__":
    main()
