"""What bounds a measuring pass of a ViT-B/32 on a processor: ways to run it, and a bare matrix product of its size.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_evaluate.py [--images 16] [--rounds 2]

Processor time, the least of some rounds in which the ways take turns; random weights and pixels.
"""

import argparse
import copy
import sys
import time
from collections import defaultdict

import open_clip
import torch
from open_clip.factory import get_model_config

from heatdrift.model.attention import observed, split_attention
from heatdrift.probes.collector import measure

GFLOP_PER_IMAGE = 8.8  # of a ViT-B/32: two per multiplication


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    fused = open_clip.CLIP(**get_model_config("ViT-B-32-quickgelu") | {"quick_gelu": True}).visual.eval()
    fused.requires_grad_(requires_grad=False)
    tower = copy.deepcopy(fused)
    split_attention(tower)
    last = copy.deepcopy(tower).to(memory_format=torch.channels_last)
    pixels = torch.randn(given.images, 3, 224, 224)
    tokens, weight = torch.randn(50 * given.images, 768), torch.randn(768, 3072)

    def passed(model, batch, *, bfloat16=False, layout=torch.contiguous_format):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            for part in torch.split(pixels.contiguous(memory_format=layout), batch):
                model(part)

    ways = {
        "one batch": lambda: passed(tower, given.images),
        "batches of 8": lambda: passed(tower, 8),
        "one by one": lambda: passed(tower, 1),
        "torch's fused attention": lambda: passed(fused, given.images),
        "channels last": lambda: passed(last, given.images, layout=torch.channels_last),
        "bfloat16": lambda: passed(tower, given.images, bfloat16=True),
        "all probes": lambda: measure(tower, [pixels], observed),
        "all probes, bfloat16": lambda: measure(tower, [pixels], observed, bfloat16=True),
        "matrix product": lambda: tokens @ weight,
    }
    found = defaultdict(list)
    for _ in range(given.rounds):
        for name, run in ways.items():
            started = time.process_time()
            run()
            found[name].append(time.process_time() - started)
    whole = min(found["one batch"])
    sys.stdout.write("| way | s | of one batch |\n|---|---|---|\n")
    for name, times in found.items():
        sys.stdout.write(f"| {name} | {min(times):.3f} | {min(times) / whole:.2f} |\n")
    bare = 2 * tokens.numel() * weight.shape[1] / min(found["matrix product"]) / 1e9
    reached = GFLOP_PER_IMAGE * given.images / whole
    sys.stdout.write(f"\nmatrix product {bare:.0f} GFLOP/s, tower {reached:.0f} GFLOP/s\n")


if __name__ == "__main__":
    main()
