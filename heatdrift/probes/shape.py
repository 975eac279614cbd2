"""Shape of attention rows: entropy, effective support, Gini coefficient, head diversity, rollout.

A row is a distribution over the N patches: non-negative, summing to 1, the class-token key already dropped. All of it
is computed in float64: sums over hundreds of small numbers decide the support. A row without any mass on the patches
cannot be renormalised; whatever is asked of it is NaN, and no number is invented.
"""

import math

import torch
from torch import Tensor

from heatdrift.errors import ProbeError

SUPPORT_MASS = 0.95 - 1e-9


def float64(x: Tensor) -> Tensor:
    """Return `x` in double precision; on the CPU where the device has none (Apple's MPS)."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def patch_rows(attention: Tensor) -> tuple[Tensor, Tensor]:
    """Class-token attention over the patches, renormalised, and the dropped class-to-class entry.

    Parameters
    ----------
    attention : (..., tokens, tokens), rows sum to 1, class token first; ProbeError if a row is off by more than 1e-3.

    Returns
    -------
    (..., patches) float64, rows sum to 1 (NaN where the class token sees itself only); and (...) float64 in [0, 1].
    """
    row = float64(attention[..., 0, :])
    total = row.sum(-1)
    if not torch.allclose(total, torch.ones_like(total), atol=1e-3, rtol=0):
        worst = float((total - 1).abs().max())
        raise ProbeError(
            f"attention rows must sum to 1, one is off by {worst:.3g}", hint="check the model for NaN weights"
        )
    return renormalised(row[..., 1:]), row[..., 0]


def renormalised(row: Tensor) -> Tensor:
    """Divide rows by their sums, in their dtype: (..., N); NaN where a row has no mass."""
    return row / row.sum(-1, keepdim=True)


def entropy(rows: Tensor, *, base: float = math.e) -> Tensor:
    """Shannon entropy of each row, 0 log 0 = 0: (..., N) -> (...), in [0, log N]; nats, or bits for base 2.

    A uniform row over 4 patches gives 1.386 nats.
    """
    # not torch.special.entr, which is not vectorised on a processor: five times as slow, and most of a probe pass
    logs = rows.clamp_min(torch.finfo(rows.dtype).tiny).log_()
    return -logs.mul_(rows).sum(-1) / math.log(base)


def support(rows: Tensor) -> Tensor:
    """Smallest share of patches whose largest entries hold 95 % of the attention: (..., N) -> (...), in [1/N, 1]."""
    cumulative = rows.sort(dim=-1, descending=True).values.cumsum(-1)
    n = rows.shape[-1]
    needed = ((cumulative < SUPPORT_MASS).sum(-1) + 1).clamp_max(n).to(rows.dtype)
    return needed.masked_fill(cumulative[..., -1].isnan(), torch.nan) / n


def gini(rows: Tensor) -> Tensor:
    """Gini coefficient of each row: (..., N) -> (...); 0 for a uniform row, (N - 1) / N for one patch alone."""
    ascending = rows.sort(dim=-1).values
    n = rows.shape[-1]
    rank = torch.arange(1, n + 1, dtype=rows.dtype, device=rows.device)
    return 2 * (rank * ascending).sum(-1) / (n * rows.sum(-1)) - (n + 1) / n


def head_diversity(mean_maps: Tensor) -> Tensor:
    """1 - mean cosine over head pairs of the heads' mean maps: (layers, heads, N) -> (layers), in [0, 1].

    One head has no pair: NaN.
    """
    unit = mean_maps / mean_maps.norm(dim=-1, keepdim=True)
    heads = mean_maps.shape[-2]
    rows, columns = torch.triu_indices(heads, heads, offset=1)
    cosines: Tensor = (unit @ unit.transpose(-2, -1))[..., rows, columns]
    return 1 - cosines.mean(-1)


def patch_to_patch_entropy(attention: Tensor) -> Tensor:
    """Entropy in bits of patch-to-patch rows, class key dropped, mean over queries: (..., T, T) -> (...).

    Kept in the dtype of `attention`: it is a mean over thousands of rows and costs most of a probe pass.
    """
    return entropy(renormalised(attention[..., 1:, 1:]), base=2).mean(-1)


def rollout_step(rollout: Tensor | None, attention: Tensor) -> Tensor:
    """One block of attention rollout (Abnar and Zuidema 2020): R <- (mean over heads of A + I) / 2 @ R.

    Parameters
    ----------
    rollout : (batch, T, T) product of the blocks before, None at the first.
    attention : (batch, heads, T, T).
    """
    tokens = attention.shape[-1]
    mean = float64(attention.mean(1))
    step = (mean + torch.eye(tokens, dtype=mean.dtype, device=mean.device)) / 2
    return step if rollout is None else step @ rollout


def rollout_rows(rollout: Tensor) -> Tensor:
    """Class row of the rollout without the class key, renormalised: (batch, T, T) -> (batch, N)."""
    return renormalised(rollout[:, 0, 1:])
