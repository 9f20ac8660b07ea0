"""The uncertainty of an enhanced volume, voxel by voxel, and its expected gain.

Both come from the derivative of the denoiser, which is probed with random signs.

The standard deviation of x_0 given y = x_0 + sigma z is that of second-order Tweedie,
Var[x_0 | y] = sigma^2 diag(dD / dy): B. Efron, "Tweedie's formula and selection bias", 2011. The
diagonal is probed with random signs v: E[v * (J v)] = diag J (C. Bekas et al., "An estimator for
the diagonal of a matrix", 2007), PROBES times, and smoothed along the fine axes: it varies slowly,
its probes do not.

That is right on average over what the network was trained on, and small lesions are rare there.
So the average of what was removed, over a window as wide as a small lesion, counts too: where it
is more than noise explains, the estimate may be off by that much, all around.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "BIAS_REACH",
    "PROBES",
    "beside_bias",
    "expected_gain",
    "middle_block",
    "of_full_dose",
    "pushed",
    "signs_of",
    "slope",
    "spread_of",
]

Array = NDArray[np.float32]
Estimate = Callable[[Tensor], Tensor]

PROBES = 4
"""The number of probes of the uncertainty."""
STEP = 0.1  # of a probe, in standard deviations of the noise
SMOOTHING = 1.5  # voxels, standard deviation of the window that steadies the probes
LEAST = 0.05  # of sigma: no voxel is known better than this
WINDOW = 0.8  # voxels, standard deviation of the window that looks for a small structure
SUSPECT = 1.7  # standard deviations of averaged noise, beyond which an average counts as structure
PEAK = 0.45  # share of the height of a ball 2 to 3 voxels wide that the window shows
BIAS_REACH = 4
"""The voxels on either side that the bias of a voxel depends on."""
BLOCK = 48  # voxels, the edge of the block on which the gain is estimated


def signs_of(shape: tuple[int, ...], seed: int, number: int, *, first: int = 0) -> Tensor:
    """The random signs of probe `number`, of the planes from `first` on of a volume: float32
    (X, Y, n). They depend on the plane, not on how many are asked for.
    """
    planes = [
        np.random.default_rng([seed, number, z]).integers(0, 2, shape[:2], np.int8)
        for z in range(first, first + shape[2])
    ]
    return torch.from_numpy(np.stack(planes, -1)).float() * 2 - 1


def pushed(noisy: Tensor, sigma: Tensor, signs: Tensor) -> Tensor:
    """Return the volume at which the denoiser is probed."""
    return noisy + STEP * sigma * signs


def slope(moved: Tensor, mean: Tensor, sigma: Tensor, signs: Tensor) -> Tensor:
    """Return one probe's estimate of the diagonal of dD / dy; `moved` is D of what was
    `pushed`.
    """
    return signs * (moved - mean) / (STEP * sigma)


def spread_of(diagonal: Tensor, sigma: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The standard deviation, from the sum of the slopes of all probes, which is used up. A
    part of a volume needs 6 voxels more on either side than those where it is right.
    """
    from scipy.ndimage import gaussian_filter1d

    steady = diagonal.div_(PROBES).numpy()
    for axis in axes:
        steady = gaussian_filter1d(steady, SMOOTHING, axis=axis, mode="reflect")
    return sigma * torch.from_numpy(steady).clamp(LEAST**2, 1.0).sqrt()


def beside_bias(
    spread: Tensor, removed: Array, sigma: float | Array, axes: tuple[int, ...]
) -> Tensor:
    """Return the standard deviation with that of a small structure that may have gone. A part of a
    volume needs BIAS_REACH voxels more on either side than those where it is right.

    removed: input - estimate, in the units of `spread`; white noise is removed of level `sigma`
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    average = np.asarray(removed / np.float32(sigma), np.float32)
    for axis in axes:
        average = gaussian_filter1d(average, WINDOW, axis=axis, mode="reflect", truncate=3.0)
    noise = (2 * np.sqrt(np.pi) * WINDOW) ** (-len(axes) / 2)
    height = np.abs(average)
    height = np.where(height > SUSPECT * noise, height / PEAK, 0).astype(np.float32)
    for axis in axes:
        height = maximum_filter1d(height, 3, axis=axis)
    bias = torch.from_numpy(height * np.float32(sigma))
    return (spread.square() + bias.square()).sqrt()


def of_full_dose(spread: Tensor, sigma: Tensor, dose: float) -> Tensor:
    """Return the standard deviation of the scan of a full dose, its noise included, around its
    expected value (`diff_medical.enhancer.settings.Settings.change`).

    x + n_full = (1 - a) x + a y + e, where e is what y and x leave open of n_full: it has variance
    a (1 - a) sigma^2.

    spread: of x alone
    sigma:  of all noise of the scan, which was made with the share a = `dose` of a full dose
    """
    return ((1 - dose) ** 2 * spread**2 + dose * (1 - dose) * sigma**2).sqrt()


def expected_gain(estimate: Estimate, noisy: Tensor, sigma: float, seed: int) -> float:
    """Return the dB by which D(noisy) is expected to be nearer to the truth than `noisy`, on its
    middle.

    C. Stein, "Estimation of the mean of a multivariate normal distribution", 1981; the divergence
    with one random probe as in S. Ramani et al., "Monte-Carlo SURE", 2008.
    """
    block = noisy[middle_block(tuple(noisy.shape))].contiguous()
    signs = torch.randint(0, 2, block.shape, generator=torch.Generator().manual_seed(seed))
    signs = signs * 2.0 - 1.0
    mean = estimate(block)
    slope = float((signs * (estimate(block + STEP * sigma * signs) - mean)).mean()) / (
        STEP * sigma
    )
    left = float((mean - block).square().mean()) - sigma**2 + 2 * sigma**2 * slope
    return float(10 * np.log10(sigma**2 / max(left, 1e-4 * sigma**2)))


def middle_block(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the block of a volume on which the gain is estimated."""
    starts = [max(0, (n - BLOCK) // 2) for n in shape]
    return tuple(slice(s, min(s + BLOCK, n)) for s, n in zip(starts, shape, strict=True))
