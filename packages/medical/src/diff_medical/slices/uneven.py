"""The posterior mean where the noise level differs from voxel to voxel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_medical.noise.model import Noise

__all__ = [
    "at_least", "check_levels", "levels", "of_map",
    "share_of_level",
]  # fmt: skip

Array = NDArray[np.float32]
STEP = 1.5  # ratio of neighbouring levels, at most
LEAST = 0.05  # of the noise of the scan: the least level that is told to the network


def check_levels(low: float, high: float) -> None:
    """Raise ValueError for a map of levels from `low` to `high` (NaN if one of them is)."""
    if not 0 <= low <= high < math.inf:
        raise ValueError(f"sigma_map is {low:g} to {high:g}; expected finite numbers >= 0")
    if high == 0:
        raise ValueError("sigma_map is 0 everywhere; expected noise somewhere")


def of_map(noise: Noise, sample: Array) -> Noise:
    """Return the noise whose level is the median of the values above 0 in a `sample` of a map."""
    above = sample[sample > 0]
    sigma = float(np.median(above)) if above.size else noise.sigma
    return replace(noise, sigma=sigma, method=noise.method if noise.varies else "map")


def at_least(levels: Array, noise: Noise) -> Array:
    """A map of levels, or a part of one, for the network.

    Where it is 0 voxels stay anyway; they count as having the level of the scan.
    """
    filled = np.where(levels > 0, levels, np.float32(noise.sigma))
    return np.maximum(filled, np.float32(LEAST * noise.sigma))


def levels(low: float, high: float) -> tuple[float, ...]:
    """The noise levels, at most a factor of 1.5 apart, from the least of a map of positive sigma
    to its greatest.
    """
    count = 1 + math.ceil(math.log(high / low) / math.log(STEP) - 1e-6)
    return tuple(low * (high / low) ** (i / max(1, count - 1)) for i in range(count))


def share_of_level(sigma: Tensor, nodes: tuple[float, ...], number: int) -> Tensor:
    """Return the share of the level `number` of the two or more `nodes` in the value of voxels of
    noise level `sigma`; over all of them the shares add up to 1.
    """
    place = (torch.log(sigma) - math.log(nodes[0])) / math.log(nodes[1] / nodes[0])
    return (1 - (place - number).abs()).clamp_min(0)
