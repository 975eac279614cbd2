"""How far representations moved: linear CKA, biased and debiased, and embedding distance."""

from torch import Tensor


def linear_cka(x: Tensor, y: Tensor) -> float | None:
    """Linear CKA with the biased HSIC estimator (Kornblith et al. 2019), as the preprint published it.

    Parameters
    ----------
    x, y : (n, features) activations of the same n images.

    Returns
    -------
    In [0, 1] up to rounding; None when x or y has no variance or is not finite. With n below the number of features it
    stays high for unrelated activations: read :func:`linear_cka_debiased` next to it.
    """
    if _constant(x) or _constant(y):
        return None
    gram_x, gram_y = (_centred_gram(a) for a in (x, y))
    return _ratio((gram_x * gram_y).sum(), (gram_x * gram_x).sum(), (gram_y * gram_y).sum())


def linear_cka_debiased(x: Tensor, y: Tensor) -> float | None:
    """Linear CKA with the unbiased HSIC estimator (Song et al. 2012; Nguyen et al. 2021): <= 1, about 0 if unrelated.

    None when n < 4, without variance, not finite, or when an unbiased self-similarity is not positive.
    """
    if len(x) < 4 or _constant(x) or _constant(y):
        return None
    gram_x, gram_y = (_hollow_gram(a) for a in (x, y))
    return _ratio(_unbiased_hsic(gram_x, gram_y), _unbiased_hsic(gram_x, gram_x), _unbiased_hsic(gram_y, gram_y))


def embedding_drift(base: Tensor, adapted: Tensor) -> float:
    """1 - mean cosine of base and adapted embedding: (n, dim) each -> [0, 2]; NaN if an embedding is zero.

    Computed as half the squared distance of the unit vectors, which is the same, exactly 0 for equal embeddings, and
    keeps its digits where 1 - cosine would cancel.
    """
    before, after = (x.double() / x.double().norm(dim=-1, keepdim=True) for x in (base, adapted))
    return float(((after - before).square().sum(-1) / 2).mean().clamp(0, 2))


def _constant(x: Tensor) -> bool:
    """Whether all images have one activation, up to float32 rounding of its size."""
    spread = (x - x[:1]).abs().max()
    return bool(spread <= 1e-6 * x.abs().max())


def _centred_gram(x: Tensor) -> Tensor:
    centred = x.double() - x.double().mean(0)
    return centred @ centred.T


def _hollow_gram(x: Tensor) -> Tensor:
    # The unbiased estimator does not depend on the origin; centring first saves digits when the mean is far from 0.
    return _centred_gram(x).fill_diagonal_(0)


def _unbiased_hsic(gram_x: Tensor, gram_y: Tensor) -> Tensor:
    """Song et al. 2012, equation 5; both Gram matrices have a zero diagonal."""
    n = len(gram_x)
    product = (gram_x * gram_y).sum()
    sums = gram_x.sum() * gram_y.sum() / ((n - 1) * (n - 2))
    cross = 2 / (n - 2) * (gram_x.sum(0) @ gram_y.sum(0))
    return (product + sums - cross) / (n * (n - 3))


def _ratio(xy: Tensor, xx: Tensor, yy: Tensor) -> float | None:
    if not (xx > 0 and yy > 0):  # NaN is neither
        return None
    return float(xy / (xx * yy).sqrt())  # one root: exactly 1 for a model against itself
