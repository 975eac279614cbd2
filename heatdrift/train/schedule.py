"""Learning-rate factor and seeds as pure functions."""

import hashlib
import math


def lr_factor(step: int, total: int, warmup_fraction: float, *, from_zero: bool = False) -> float:
    """Factor on the peak learning rate at 0-based `step` of `total`: linear warm-up, then cosine to 0.

    The first step of the warm-up is already above 0, and the factor would reach 0 at step `total`. With `from_zero`,
    as the preprint has it, the first step has 0, and the warm-up has int(fraction x total) steps, perhaps none.
    """
    if from_zero:
        rise = int(warmup_fraction * total)
        if step < rise:
            return step / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1)))
    warmup = math.ceil(warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def derived_seed(seed: int, purpose: str) -> int:
    """Seed of one purpose (classifier, adapters, order, flips, dropout), in [0, 2**63).

    Each purpose has its own stream, so that changing one (say, no dropout) leaves the others as they were.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
