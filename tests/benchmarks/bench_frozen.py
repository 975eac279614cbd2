"""An epoch of `last_block` through all blocks against one on kept tokens, in pairs, on one thread; processor time.

OMP_NUM_THREADS=1 python tests/benchmarks/bench_frozen.py STUDY DATA [--dataset NAME] [--pairs 5]
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import torch

from heatdrift.methods import METHODS
from heatdrift.model.adapt import adapt
from heatdrift.plan.study import load_study
from heatdrift.train.frozen import frozen_data
from heatdrift.train.prefix import frozen_blocks
from heatdrift.train.resources import Resources
from heatdrift.train.step import PlainStep, adamw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("data", type=Path)
    parser.add_argument("--dataset")
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    study = load_study(given.study)
    resources = Resources.of(study, given.data, torch.device("cpu"))
    data = resources.target(given.dataset or study.grids[0].dataset[0])
    model = adapt(resources.backbone, METHODS["last_block"], len(data.class_names), classifier_seed=1, adapter_seed=1)
    blocks = frozen_blocks(model.visual)
    started = time.process_time()
    kept = frozen_data(resources.backbone.visual, data.train, data.val, None, resources.evaluation, bfloat16=False,
                       blocks=blocks)  # fmt: skip
    once = time.process_time() - started
    optimizer = adamw(model.trained(), lr=0.0, weight_decay=0.0, device=torch.device("cpu"), captured=False)

    def epoch(images, logits) -> float:
        step = PlainStep(logits, model.trained(), optimizer, clip_norm=1.0, bfloat16=False)
        begun = time.process_time()
        for chosen in torch.split(torch.arange(len(images)), study.train.batch_size):
            step(images.inputs(chosen, torch.rand(len(chosen)) < 0.5, resources.normalise), images.labels[chosen])
        return time.process_time() - begun

    pairs = [(epoch(data.train, model.logits), epoch(kept.train, kept.logits(model))) for _ in range(given.pairs)]
    ratios = sorted(plain / fast for plain, fast in pairs)
    plain, fast = (median(values) for values in zip(*pairs, strict=True))
    sys.stdout.write(
        f"{study.backbone.name}, {len(data.train)} images, {blocks} blocks kept: an epoch {plain:.2f} s through all "
        f"blocks, {fast:.2f} s on kept tokens, ratio {median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}); "
        f"tokens once {once:.2f} s, {kept.train.outputs.nbytes / 2**20:.0f} MB\n"
    )


if __name__ == "__main__":
    main()
