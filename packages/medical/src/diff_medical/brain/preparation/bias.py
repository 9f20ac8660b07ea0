"""The slow shading of a scan, and the grey level of its white matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["shading", "white_level"]

ORDER = 5  # of the cosines
ROUNDS = 15
BRIGHTER = 0.08  # share of white matter's level above which a voxel tells of the shading
STIFF = 2.0 / 40000

Array = NDArray[np.floating[Any]]


def white_level(values: Array) -> float:
    """Return the mode of the brightest tissue: the last large peak of the histogram.

    values: of the voxels of a brain. Raises ValueError where there is no peak.
    """
    counts, edges = np.histogram(values, 200, (0, float(np.percentile(values, 99.8))))
    smooth = np.convolve(counts, np.hanning(13) / 6, "same")
    peaks = [
        k
        for k in range(1, 199)
        if smooth[k] >= smooth[k - 1]
        and smooth[k] > smooth[k + 1]
        and smooth[k] > 0.35 * smooth.max()
    ]
    if not peaks:
        raise ValueError("its grey levels have no peak; expected a T1 of a brain")
    return float((edges[peaks[-1]] + edges[peaks[-1] + 1]) / 2)


def shading(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shading of a brain (X, Y, Z), white matter near 1 and air 0; of the same shape.

    The logarithm of the brain is three Gaussians, one for each of fluid, grey and white matter,
    plus low cosines, fitted by expectation and maximisation: Van Leemput et al., Automated
    Model-Based Bias Field Correction of MR Images of the Brain (1999). Raises ValueError for a
    volume without a brain.
    """
    coarse = volume[::2, ::2, ::2]
    mask = coarse > BRIGHTER
    if mask.sum() < 100:
        raise ValueError("holds no brain of white matter near 1")
    axes, terms = _cosines(coarse.shape)
    at = np.nonzero(mask)
    basis = np.stack(
        [axes[0][i][at[0]] * axes[1][j][at[1]] * axes[2][k][at[2]] for i, j, k in terms], 1
    )
    logs = np.log(coarse[mask])
    weights = _fitted(basis, logs, np.diag([float(sum(term)) ** 2 for term in terms]))
    axes, _ = _cosines(volume.shape)
    table = np.zeros((ORDER + 1,) * 3, np.float32)
    for term, weight in zip(terms, weights, strict=True):
        table[term] = weight
    field = np.einsum("ijk,ix,jy,kz->xyz", table, *axes, optimize=True)
    return np.exp(field).astype(np.float32)


def _fitted(basis: Array, logs: Array, stiffness: Array) -> Array:
    """The weights of the cosines."""
    mean = np.log(np.quantile(np.exp(logs), [0.08, 0.45, 0.85]))
    deviation, share = np.array([0.35, 0.15, 0.08]), np.array([0.15, 0.45, 0.4])
    weights = np.zeros(basis.shape[1])
    for _ in range(ROUNDS):
        rest = logs - basis @ weights
        odds = share
        for _ in range(2):
            distance = (rest - mean[:, None]) / deviation[:, None]
            odds = (share / deviation)[:, None] * np.exp(-0.5 * distance**2) + 1e-12
            odds = odds / odds.sum(0)
            count = odds.sum(1)
            mean = (odds @ rest) / count
            spread = (odds * (rest - mean[:, None]) ** 2).sum(1) / count
            deviation = np.maximum(np.sqrt(spread), [0.15, 0.05, 0.03])
            share = count / count.sum()
        # grey and white matter tell of the shading, fluid is too uneven
        trust = (odds[1:] / deviation[1:, None] ** 2).sum(0)
        wanted = (odds[1:] * (mean[1:] / deviation[1:] ** 2)[:, None]).sum(0)
        error = logs - wanted / np.maximum(trust, 1e-6)
        weighted = basis * (trust / trust.mean())[:, None]
        gram = weighted.T @ basis + STIFF * len(logs) * stiffness
        weights = np.linalg.solve(gram, weighted.T @ error)
    return weights


def _cosines(shape: tuple[int, ...]) -> tuple[list[Array], list[tuple[int, int, int]]]:
    """Cosines along each axis (ORDER + 1, n), and the products of them but the constant."""
    count = ORDER + 1
    axes: list[Array] = [
        np.cos(np.pi * np.arange(count)[:, None] * (np.arange(n) + 0.5) / n).astype(np.float32)
        for n in shape
    ]
    terms = [
        (i, j, k)
        for i in range(count)
        for j in range(count)
        for k in range(count)
        if 0 < i + j + k <= ORDER
    ]
    return axes, terms
