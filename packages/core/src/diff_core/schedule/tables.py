"""Tables of discrete-time models, as `Tabulated` schedules: how they are made and mended."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diff_core.schedule.tabulated import Tabulated

__all__ = ["from_betas", "from_noise_levels", "linear", "scaled_linear", "zero_terminal_snr"]


def from_betas(betas: Sequence[float]) -> Tabulated:
    """The table of a chain with these variances: alpha^2 after step i is prod (1 - beta)."""
    product, found = 1.0, list[float]()
    for beta in betas:
        product *= 1 - float(beta)
        found.append(product)
    return Tabulated(tuple(found))


def from_noise_levels(levels: Sequence[float]) -> Tabulated:
    """The variance-preserving table with these rising sigma / alpha; the last may be infinite.

    For any table whatever its own alpha is: a state of that path is a state of this one times
    sqrt(alpha^2 + sigma^2).
    """
    return Tabulated(tuple(0.0 if math.isinf(r) else 1 / (1 + r * r) for r in map(float, levels)))


def linear(beta_start: float = 1e-4, beta_end: float = 0.02, steps: int = 1000) -> Tabulated:
    """Betas at equal distances: Denoising Diffusion Probabilistic Models (Ho et al., 2020)."""
    return from_betas(_ramp(beta_start, beta_end, steps))


def scaled_linear(
    beta_start: float = 0.00085, beta_end: float = 0.012, steps: int = 1000
) -> Tabulated:
    """Square roots of beta at equal distances.

    High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022) and its
    code, whose values for Stable Diffusion are the defaults.
    """
    roots = _ramp(math.sqrt(beta_start), math.sqrt(beta_end), steps)
    return from_betas([root * root for root in roots])


def zero_terminal_snr(table: Tabulated) -> Tabulated:
    """The table with alpha shifted and scaled so that its last entry is 0 and its first stays.

    Algorithm 1 of Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin et al., 2024).
    """
    roots = [math.sqrt(a) for a in table.alphas_cumprod]
    first, last = roots[0], roots[-1]
    inner = [((root - last) * first / (first - last)) ** 2 for root in roots[1:-1]]
    return Tabulated((table.alphas_cumprod[0], *inner, 0.0))


def _ramp(first: float, last: float, steps: int) -> list[float]:
    if steps < 2 or not 0 < first < last < 1:
        raise ValueError(
            f"given beta from {first} to {last} (or their roots) in {steps} steps; expected "
            "0 < beta_start < beta_end < 1 and at least 2 steps"
        )
    return [first + (last - first) * i / (steps - 1) for i in range(steps)]
