"""map_js at the size of a ViT-B/16: memory of the kept class rows, time of one comparison, and what rounding costs.

``python tests/benchmarks/bench_map_js.py`` prints a Markdown table. Maps are the softmax of random scores (standard
deviation 3) in float32, as a model gives them; the adapted model's scores are moved by noise of one size per row of the
table. The reference is float64 throughout.
"""

import sys
import time

import torch

from heatdrift.probes.divergence import map_js

IMAGES, BLOCKS, HEADS, PATCHES = 200, 12, 12, 196


def main() -> None:
    """Print the table."""
    generator = torch.Generator().manual_seed(0)
    shape = (IMAGES, HEADS, PATCHES + 1)
    scores = [3 * torch.randn(shape, generator=generator) for _ in range(BLOCKS)]
    base = [block.softmax(-1)[..., 1:].clone() for block in scores]
    size = sum(rows.numel() for rows in base)
    write = sys.stdout.write
    write(f"class rows of one model: {4 * size / 1e6:.1f} MB in float32, {2 * size / 1e6:.1f} MB in float16\n\n")
    write("| scores moved by | map_js | error, rows kept in float32 | in float16 | time |\n|---|---|---|---|---|\n")
    for moved in (1.0, 0.1, 0.01, 0.001, 0.0001):
        noise = [moved * torch.randn(shape, generator=generator) for _ in range(BLOCKS)]
        adapted = [(block + n).softmax(-1)[..., 1:].clone() for block, n in zip(scores, noise, strict=True)]
        exact = mean(
            [block.double().softmax(-1)[..., 1:] for block in scores],
            [(block + n).double().softmax(-1)[..., 1:] for block, n in zip(scores, noise, strict=True)],
        )
        start = time.perf_counter()
        kept = mean(base, adapted)
        seconds = time.perf_counter() - start
        halved = mean([rows.half() for rows in base], [rows.half() for rows in adapted])
        errors = " | ".join(f"{abs(value / exact - 1):.1e}" for value in (kept, halved))
        write(f"| {moved:g} | {exact:.3e} bits | {errors} | {seconds:.2f} s |\n")


def mean(base: list[torch.Tensor], adapted: list[torch.Tensor]) -> float:
    """Return map_js of the model: the mean over heads and blocks."""
    return float(torch.stack([map_js(x, y) for x, y in zip(base, adapted, strict=True)]).mean())


if __name__ == "__main__":
    main()
