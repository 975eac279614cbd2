"""The definitions of docs/probes.md as plain float64 loops, to check the vectorised probes against something else.

Nothing of heatdrift is imported here. ``attention`` is one block's softmax, (images, heads, tokens, tokens), with the
class token first; ``blocks`` a list of such arrays, first block first.
"""

import itertools
import math

import numpy as np


def class_row(attention_row):
    """Class-token attention over the patches, renormalised, and the dropped class-to-class entry."""
    row = [float(v) for v in attention_row]
    rest = sum(row[1:])
    return [v / rest for v in row[1:]], row[0]


def entropy(row, base=math.e):
    return -sum(p * math.log(p) for p in row if p > 0) / math.log(base)


def erf95(row):
    mass, k = 0.0, 0
    for p in sorted(row, reverse=True):
        mass, k = mass + p, k + 1
        if mass >= 0.95 - 1e-9:
            break
    return k / len(row)


def gini(row):
    n = len(row)
    return 2 * sum(j * a for j, a in enumerate(sorted(row), start=1)) / (n * sum(row)) - (n + 1) / n


def per_head(attention, metric):
    """Mean over images of a metric of the class row: (heads,)."""
    images, heads = attention.shape[:2]
    return [np.mean([metric(class_row(attention[i, h, 0])[0]) for i in range(images)]) for h in range(heads)]


def cls_self_mass(attention):
    images, heads = attention.shape[:2]
    return [np.mean([attention[i, h, 0, 0] for i in range(images)]) for h in range(heads)]


def head_diversity(attention):
    images, heads = attention.shape[:2]
    maps = [np.mean([class_row(attention[i, h, 0])[0] for i in range(images)], axis=0) for h in range(heads)]
    cosines = [
        sum(x * y for x, y in zip(maps[g], maps[h], strict=True)) / (np.linalg.norm(maps[g]) * np.linalg.norm(maps[h]))
        for g, h in itertools.combinations(range(heads), 2)
    ]
    return 1 - np.mean(cosines)


def patch_entropy(attention):
    images, heads, tokens = attention.shape[:3]
    values = [
        np.mean([entropy(class_row(attention[i, h, q])[0], base=2) for q in range(1, tokens)])
        for i in range(images)
        for h in range(heads)
    ]
    return np.mean(values)


def rollout_row(blocks, image):
    """Class row of the rollout of one image: the product of (A + I) / 2, later blocks from the left."""
    tokens = blocks[0].shape[-1]
    product = np.eye(tokens)
    for attention in blocks:
        product = (np.mean(attention[image], axis=0) + np.eye(tokens)) / 2 @ product
    return class_row(product[0])[0]


def jensen_shannon(p, q):
    """In bits: half the Kullback-Leibler divergence of each row from the mean of both."""

    def divergence(row, mean):
        return sum(a * math.log2(a / b) for a, b in zip(row, mean, strict=True) if a > 0)

    mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return divergence(p, mean) / 2 + divergence(q, mean) / 2


def map_js(base, adapted):
    """Mean over images of the divergence of the same image's and head's maps: (heads,)."""
    images, heads = base.shape[:2]
    values = np.empty((images, heads))
    for i in range(images):
        for h in range(heads):
            values[i, h] = jensen_shannon(class_row(base[i, h, 0])[0], class_row(adapted[i, h, 0])[0])
    return values.mean(0)


def cka(x, y):
    """Linear CKA by its feature-space formula: ||Y'X||^2 / (||X'X|| ||Y'Y||) with centred columns."""
    x, y = (np.asarray(a, dtype=np.float64) - np.asarray(a, dtype=np.float64).mean(0) for a in (x, y))
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def unbiased_hsic(x, y):
    """Song et al. 2012, equation 5, term by term, on uncentred activations."""
    k, l = (np.asarray(a, dtype=np.float64) @ np.asarray(a, dtype=np.float64).T for a in (x, y))  # noqa: E741
    n = len(k)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))


def cka_debiased(x, y):
    return unbiased_hsic(x, y) / math.sqrt(unbiased_hsic(x, x) * unbiased_hsic(y, y))


def embedding_drift(base, adapted):
    cosines = [
        sum(float(p) * float(q) for p, q in zip(b, a, strict=True))
        / (math.sqrt(sum(float(p) ** 2 for p in b)) * math.sqrt(sum(float(q) ** 2 for q in a)))
        for b, a in zip(base, adapted, strict=True)
    ]
    return 1 - sum(cosines) / len(cosines)
