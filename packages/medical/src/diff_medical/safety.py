"""Bounds on what an enhancer may do to a scan, whatever its network says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOUND", "QUIET", "TISSUE_HU", "bound_residual", "constant_regions", "outside_tissue"]

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

BOUND = 3.5
"""No voxel changes by more than this many standard deviations of the noise: Gaussian noise goes
beyond it in one voxel of 2,000, and no structure stronger than it can be removed or made up."""

QUIET = 0.003
"""Noise below this share of the bright level of a scan is left as it is."""

TISSUE_HU = (-1024.0, 3000.0)
"""Hounsfield units up to the first are padding, from beyond the second on metal: never changed."""


def bound_residual(
    noisy: Array, estimate: Array, sigma: float
) -> tuple[NDArray[np.float32], float]:
    """`estimate` kept within BOUND sigma of `noisy`, and the share of voxels that had to be."""
    limit = np.float32(BOUND * sigma)
    change = estimate - noisy
    beyond = float(np.mean(np.abs(change) > limit))
    return (noisy + np.clip(change, -limit, limit)).astype(np.float32), beyond


def constant_regions(volume: Array) -> Mask:
    """Voxels whose whole neighbourhood (3 x 3 x 3) has one value: padding, masks, clipped air."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    low = high = volume
    for axis in range(volume.ndim):
        low = minimum_filter1d(low, 3, axis=axis)
        high = maximum_filter1d(high, 3, axis=axis)
    return low == high


def outside_tissue(volume: Array) -> Mask:
    """Voxels of a CT (HU) that are padding or metal."""
    return (volume <= TISSUE_HU[0]) | (volume > TISSUE_HU[1])
