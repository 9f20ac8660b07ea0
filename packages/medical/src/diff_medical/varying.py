"""The posterior mean where the noise level differs from voxel to voxel."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["levels", "mean_of_levels"]

STEP = 1.5  # ratio of neighbouring levels, at most


def levels(sigma: Tensor) -> tuple[float, ...]:
    """The noise levels, at most a factor of 1.5 apart, that span a map of positive sigma."""
    low, high = float(sigma.min()), float(sigma.max())
    count = 1 + math.ceil(math.log(high / low) / math.log(STEP) - 1e-6)
    return tuple(low * (high / low) ** (i / max(1, count - 1)) for i in range(count))


def mean_of_levels(
    estimate: Callable[[Tensor, float], Tensor], noisy: Tensor, sigma: Tensor
) -> Tensor:
    """E[x_0 | noisy] for noise of standard deviation `sigma` (X, Y, Z), positive and smooth.

    The volume is denoised at each of the `levels`, and each voxel takes its value from between the
    two levels next to its own, linear in ln sigma: within the reach of the network the noise is
    taken as even.
    """
    nodes = levels(sigma)
    if len(nodes) == 1:
        return estimate(noisy, nodes[0])
    width = math.log(nodes[1] / nodes[0])
    place = (torch.log(sigma) - math.log(nodes[0])) / width
    mean = torch.zeros_like(noisy)
    for number, node in enumerate(nodes):
        weight = (1 - (place - number).abs()).clamp_min(0)
        mean += weight * estimate(noisy, node)
    return mean
