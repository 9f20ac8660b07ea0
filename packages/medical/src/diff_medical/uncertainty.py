"""How far the enhanced volume may be from the truth, voxel by voxel, and what it gains.

Both come from the derivative of the denoiser, which is probed with random signs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["PROBES", "expected_gain", "posterior_sd"]

Estimate = Callable[[Tensor], Tensor]

PROBES = 4
STEP = 0.1  # of a probe, in standard deviations of the noise
SMOOTHING = 1.5  # voxels, standard deviation of the window that steadies the probes
LEAST = 0.05  # of sigma: no voxel is known better than this
BLOCK = 48  # voxels, the edge of the block on which the gain is estimated


def posterior_sd(
    estimate: Estimate,
    noisy: Tensor,
    mean: Tensor,
    sigma: Tensor,
    axes: tuple[int, ...],
    seed: int,
) -> Tensor:
    """Standard deviation of x_0 given `noisy` = x_0 + sigma z, (X, Y, Z), by second-order Tweedie:
    Var[x_0 | y] = sigma^2 diag(dD / dy).

    B. Efron, "Tweedie's formula and selection bias", 2011. The diagonal is probed with random
    signs v: E[v * (J v)] = diag J (C. Bekas et al., "An estimator for the diagonal of a matrix",
    2007), PROBES times, and smoothed along `axes`: it varies slowly, its probes do not.

    estimate: D, at the noise level of `noisy`
    mean:     D(noisy)
    sigma:    (X, Y, Z) or a scalar
    """
    from scipy.ndimage import gaussian_filter1d

    generator = torch.Generator().manual_seed(seed)
    diagonal = torch.zeros_like(noisy)
    for _ in range(PROBES):
        signs = torch.randint(0, 2, noisy.shape, generator=generator) * 2.0 - 1.0
        diagonal += signs * (estimate(noisy + STEP * sigma * signs) - mean) / (STEP * sigma)
    steady = diagonal.div_(PROBES).numpy()
    for axis in axes:
        steady = gaussian_filter1d(steady, SMOOTHING, axis=axis, mode="reflect")
    return sigma * torch.from_numpy(steady).clamp(LEAST**2, 1.0).sqrt()


def expected_gain(estimate: Estimate, noisy: Tensor, sigma: float, seed: int) -> float:
    """dB by which D(noisy) is expected to be nearer to the truth than `noisy`, on its middle.

    C. Stein, "Estimation of the mean of a multivariate normal distribution", 1981; the divergence
    with one random probe as in S. Ramani et al., "Monte-Carlo SURE", 2008.
    """
    starts = [max(0, (n - BLOCK) // 2) for n in noisy.shape]
    block = noisy[tuple(slice(a, a + BLOCK) for a in starts)].contiguous()
    signs = torch.randint(0, 2, block.shape, generator=torch.Generator().manual_seed(seed))
    signs = signs * 2.0 - 1.0
    mean = estimate(block)
    slope = float((signs * (estimate(block + STEP * sigma * signs) - mean)).mean()) / (
        STEP * sigma
    )
    left = float((mean - block).square().mean()) - sigma**2 + 2 * sigma**2 * slope
    return float(10 * np.log10(sigma**2 / max(left, 1e-4 * sigma**2)))
