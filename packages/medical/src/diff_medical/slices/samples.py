"""Posterior samples of whole volumes by the reverse diffusion, and their mean."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diff_core.denoiser import Denoiser
from diff_core.grid import karras
from diff_core.noise import Keyed
from diff_core.sample import Ancestral, sample
from diff_medical.slices.network import sigma_max_of
from diff_medical.slices.passes import Passes
from diff_medical.slices.volume import VolumeDenoiser

__all__ = ["sample_mean"]

FLOOR = 30  # the last noise level before 0 is this many times below the first


def sample_mean(
    denoiser: Denoiser,
    noisy: Tensor,
    sigma: float,
    passes: Passes,
    *,
    samples: int,
    steps: int,
    seed: int,
    progress: Callable[[float], None],
) -> Tensor:
    """Mean of `samples` draws from p(x_0 | noisy), `steps` passes each, for a volume (X, Y, Z).

    noisy = x_0 + sigma z *is* x_t at the noise level sigma, so the reverse stochastic process
    started there samples the posterior, with nothing to tune (the probability-flow ODE does not).
    With few steps the draws lie too close together: their spread is no uncertainty.
    Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021).
    """
    shrink = max(1.0, sigma / sigma_max_of(denoiser))  # where the network ends, scale both down
    level = sigma / shrink
    volumes = VolumeDenoiser(denoiser, passes, progress)
    times = karras(volumes.schedule, steps, sigma_min=level / FLOOR, sigma_max=level)
    mean = torch.zeros_like(noisy)
    for number in range(samples):
        noise = Keyed([seed + number])
        drawn = sample(volumes, Ancestral(), (noisy / shrink)[None, None], times, noise=noise)
        mean += drawn[0, 0]
    return mean * (shrink / samples)
