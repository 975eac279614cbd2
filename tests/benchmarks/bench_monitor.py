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

BATCH, REPEATS = 32, 15


def cpu_s(run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    backbone = load_backbone(BackboneSpec(name="lab"), Path(), torch.device("cpu"))
    size = backbone.preprocess.size
    tower = copy.deepcopy(backbone.visual).requires_grad_(requires_grad=True)
    classifier = nn.Linear(backbone.embed_dim, 10)
    optimizer = torch.optim.AdamW([*tower.parameters(), *classifier.parameters()], lr=1e-5)
    pixels, labels = torch.randn(BATCH, 3, size, size), torch.randint(0, 10, (BATCH,))

    def train() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier(tower(pixels)), labels).backward()
        optimizer.step()

    train()
    for n in (8, 16, MONITOR_IMAGES, 32, 64):
        monitor = DriftMonitor(backbone.visual, torch.randn(n, 3, size, size), n_images=n)
        monitor.measure(tower, 1)
        # one after the other, so that a busy machine slows both; the median of ratios, not the ratio of medians
        pairs = [(cpu_s(train), cpu_s(lambda m=monitor, i=i: m.measure(tower, i + 2))) for i in range(REPEATS)]
        ratio = statistics.median(cost / step for step, cost in pairs)
        shares = ", ".join(f"{100 * ratio * BATCH / images:.1f} % of {images}" for images in (200, 800))
        sys.stdout.write(f"monitor with {n} images: {ratio:.2f} steps of {BATCH}; of an epoch: {shares} images\n")


if __name__ == "__main__":
    main()
