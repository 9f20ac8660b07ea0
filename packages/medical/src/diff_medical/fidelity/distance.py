r"""Distances between two sets of images, from a vector of features of each.

With features x (N, D) of one set and y (M, D) of the other:

* `frechet`: |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)), the squared distance of two
  normal distributions (D. Dowson and B. Landau, "The Frechet distance between multivariate normal
  distributions", 1982). With Inception's features it is called FID (M. Heusel et al., "GANs
  trained by a two time-scale update rule converge to a local Nash equilibrium", 2017); with others
  it is not, and numbers from different features or different N cannot be compared.
* `kernel_mmd`: the squared maximum mean discrepancy, without bias (A. Gretton et al., "A kernel
  two-sample test", 2012, lemma 6), so that it is 0 on average for two sets of one distribution,
  and sometimes below. With the kernel `cubic` and Inception's features it is called KID (M.
  Binkowski et al., "Demystifying MMD GANs", 2018).

And with histograms or spectra of each image:

* `wasserstein`: of the pooled grey levels, the area between both distribution functions.
* `spectrum_distance`: root mean square over radii of the difference of the mean spectra, dB.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Kernel", "cubic", "frechet", "kernel_mmd", "median_rbf", "slope", "spectrum_distance",
    "wasserstein",
]  # fmt: skip

Array = NDArray[np.floating]
Kernel = Callable[[Array, Array], Array]
"""A kernel k(a, b) of rows (N, D) and (M, D), which returns (N, M)."""

LOWEST, HIGHEST = 1 / 32, 1 / 4  # cycles a pixel between which a slope is fitted


def frechet(x: Array, y: Array) -> float:
    """Return `diff_core.evaluate.frechet_distance` of features (N, D) and (M, D)."""
    import torch

    from diff_core.evaluate import frechet_distance

    _check(x, y)
    return frechet_distance(*(torch.from_numpy(np.ascontiguousarray(v)) for v in (x, y)))


def cubic(x: Array, y: Array) -> Array:
    """Return (N, M): (x . y / D + 1)^3."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def median_rbf(x: Array, y: Array) -> Kernel:
    """Return exp(-|a - b|^2 / m^2), where m is the median distance within both sets."""
    from scipy.spatial.distance import cdist, pdist

    median = float(np.median(pdist(np.concatenate([x, y]))))
    width = median if median > 0 else 1.0

    def kernel(a: Array, b: Array) -> Array:
        return np.exp(-cdist(a, b, "sqeuclidean") / width**2)

    return kernel


def kernel_mmd(x: Array, y: Array, kernel: Kernel = cubic) -> float:
    """Return the squared MMD, unbiased. Raises ValueError as `frechet` does."""
    _check(x, y)
    x, y = x.astype(np.float64), y.astype(np.float64)
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
              for k in (kernel(x, x), kernel(y, y))]  # fmt: skip
    return float(sum(within) - 2 * kernel(x, y).mean())


def wasserstein(x: Array, y: Array, width: float) -> float:
    """Return the distances of histograms (N, B) and (M, B), bins `width` apart, in the unit of the
    grey levels.
    """
    first, second = (v.sum(0) / v.sum() for v in (x, y))
    return float(np.abs(np.cumsum(first - second)).sum() * width)


def spectrum_distance(x: Array, y: Array) -> float:
    """Return the distance in dB of power spectra (N, R) and (M, R) over R radii, each above 0."""
    ratio = 10 * np.log10(x.mean(0) / y.mean(0))
    return float(np.sqrt(np.square(ratio).mean()))


def slope(x: Array, radii: Array) -> float:
    """Return the slope of log power over log radius, by least squares between LOWEST and HIGHEST
    cycles a pixel.

    Natural images have about -2 (D. Field, "Relations between the statistics of natural images
    and the response properties of cortical cells", 1987); blur makes it steeper, noise flatter.
    """
    inside = (radii >= LOWEST) & (radii <= HIGHEST)
    return float(np.polyfit(np.log(radii[inside]), np.log(x.mean(0)[inside]), 1)[0])


def _check(x: Array, y: Array) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"x has shape {x.shape}, y {y.shape}; expected (N, D) and (M, D), N and M from 2"
        )
