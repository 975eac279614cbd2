"""Means over two crossed samples, seeds x images: their error where both are drawn at random, and what each adds.

d[s, i] = mean + seed_s + image_i + rest_si, the two-way random-effects layout with one value per cell (Searle, Casella
and McCulloch 1992, chapter 4). The mean squares give the variance of the overall mean

    V = MS_seed/(SN) + MS_image/(SN) - MS_rest/(SN)

With three seeds MS_seed is hardly known, and by chance may be far below what the rest alone makes of it. Two floors
keep a test of the mean from claiming too much: MS_seed counts as no less than MS_rest, and MS_image - MS_rest as no
less than 0. The df are Satterthwaite's. Rejections of true nulls: docs/questions/images.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heatdrift.stats.cluster_robust import NO_SPREAD

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.floating]
Codes = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class CrossedParts:
    """Parts of the variance of means over seeds and images, of K groups of images at once.

    Attributes
    ----------
    mean : (K,) the means.
    seed, image, rest : (K,) mean squares divided by the number of values: what each would give the mean by itself.
    n_seeds : S; of two samples of seeds their harmonic mean. n_images : (K,) N.
    """

    mean: Floats
    seed: Floats
    image: Floats
    rest: Floats
    n_seeds: float
    n_images: Floats

    def components(self) -> tuple[Floats, Floats, Floats]:
        """Variances of one seed's, one image's and one remaining deviation, each no less than 0."""
        seed = np.maximum(self.seed - self.rest, 0.0) * self.n_seeds
        image = np.maximum(self.image - self.rest, 0.0) * self.n_images
        return seed, image, self.rest * self.n_seeds * self.n_images

    @property
    def rest_df(self) -> Floats:
        """Degrees of freedom of the rest."""
        return (self.n_seeds - 1) * (self.n_images - 1)


def crossed_parts(d: Values, group: Codes | None = None) -> CrossedParts:
    """Split the variance of the mean of d (S, N) over seeds and images, in every group (N,) of images by itself.

    NaN where there is one seed, or one image in a group.
    """
    n_seeds, n = d.shape
    codes = np.zeros(n, dtype=np.intp) if group is None else group.astype(np.intp)
    n_groups = int(codes.max()) + 1
    sizes = np.bincount(codes, minlength=n_groups).astype(float)
    by_image = d.mean(axis=0, dtype=float)
    squares = np.einsum("si,si->i", d, d, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_seed = np.stack([np.bincount(codes, weights=row, minlength=n_groups) for row in d]) / sizes  # (S, K)
        mean = by_seed.mean(axis=0)
        of_seeds = sizes * np.sum((by_seed - mean) ** 2, axis=0)
        of_images = n_seeds * np.bincount(codes, weights=(by_image - mean[codes]) ** 2, minlength=n_groups)
        total = np.bincount(codes, weights=squares, minlength=n_groups) - n_seeds * sizes * mean**2
        rest = np.maximum(total - of_seeds - of_images, 0.0)
        values, df = n_seeds * sizes, np.array(float(n_seeds - 1))
        return CrossedParts(
            mean=mean,
            seed=of_seeds / df / values,
            image=of_images / (sizes - 1) / values,
            rest=rest / (df * (sizes - 1)) / values,
            n_seeds=n_seeds,
            n_images=sizes,
        )


def crossed_error(
    seed: Floats, seed_df: Floats | float, image: Floats, rest: Floats, rest_df: Floats, n_images: Floats
) -> tuple[Floats, Floats]:
    """Standard error of means over seeds and images, and its Satterthwaite df, from the parts of their variance.

    Parameters
    ----------
    seed : variance of the mean as the seeds show it, with its df; from `CrossedParts`, or any seed-level test.
    image, rest : the other two of `CrossedParts`.

    Returns
    -------
    NaN where nothing varies, or a part is not known.
    """
    of_seeds, of_images = np.maximum(seed, rest), np.maximum(image - rest, 0.0)
    variance = of_seeds + of_images
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = of_seeds**2 / seed_df + np.where(of_images > 0, image**2 / (n_images - 1) + rest**2 / rest_df, 0.0)
        df = np.maximum(variance**2 / spread, np.minimum(seed_df, n_images - 1))
    known = variance > NO_SPREAD**2
    return np.where(known, np.sqrt(variance), np.nan), np.where(known, df, np.nan)


def predicted_se(seed: float, image: float, rest: float, n_seeds: float, n_images: float) -> float:
    """Standard error of the mean over other numbers of seeds and images (infinity too), from variance components."""
    return float(np.sqrt(seed / n_seeds + image / n_images + rest / n_seeds / n_images))
