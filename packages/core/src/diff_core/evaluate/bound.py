r"""The variational bound of ancestral sampling: an upper bound of -log p(x_0).

Denoising Diffusion Probabilistic Models (Ho et al., 2020), equation 5: p is the law of what
`sample(denoiser, Ancestral(variance=...), ..., times)` draws when its last step draws from
N(D, V) too,

    -log p(x_0) <= KL(q(x_1 | x_0) || p(x_1)) + sum_k E[L_k] ,

with L_k of `variance.step_divergence`. The bound depends on the grid, and the fewer the steps, the
more it depends on the variance.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.forward import marginal
from diff_core.grid import check_times
from diff_core.noise import Noise
from diff_core.variance import MomentDenoiser, step_divergence

__all__ = ["variational_bound"]


def variational_bound(
    denoiser: Denoiser,
    x_0: Tensor,
    times: Tensor,
    noise: Noise,
    *,
    variance: Literal["small", "large", "learned"] = "small",
    levels: int | None = None,
    cond: Condition | None = None,
) -> Tensor:
    """Return an unbiased estimate of the bound, (B,), in nats, with one call for each step.

    x_0:      signals (B, C, *S)
    times:    (K + 1,), the grid of the sampling, falling to 0
    noise:    noise(k, x_0) is that of the state at times[k]
    variance: as in `Ancestral`; the last step, where "small" has none, then has that of "large"
    levels:   None for the density of x_0; for data of that many values at equal distances from -1
        to 1, the probability of these values: N(D, V) over the interval around each, the
        outermost without end (equation 13 of Ho et al.)

    p(x_1) is N(0, alpha^2 + sigma^2). Gradients are off.
    Raises ValueError for a grid that does not fall to 0, levels below 2, or "learned" with a
    denoiser that is no `MomentDenoiser`.
    """
    times = check_times(times)
    if times[-1] != 0:
        raise ValueError(f"times ends at {times[-1].item():g}; expected 0")
    if levels is not None and levels < 2:
        raise ValueError(f"levels is {levels}; expected at least 2")
    if variance == "learned" and not isinstance(denoiser, MomentDenoiser):
        raise ValueError(
            f"denoiser is a {type(denoiser).__name__}; expected a MomentDenoiser, such as "
            "WithVariance, for a learned variance"
        )
    denoiser.check(times[:-1])
    schedule = denoiser.schedule
    total = _prior_gap(schedule.alpha(times[0]), schedule.sigma(times[0]), x_0).double()
    last = len(times) - 2
    with torch.no_grad():
        for k, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
            x_t = marginal(schedule, x_0, t, noise(k, x_0))
            if variance == "learned" and isinstance(denoiser, MomentDenoiser):
                mean, spread = denoiser.moments(x_t, t, cond)
            else:
                mean = denoiser(x_t, t, cond)
                alpha, sigma = schedule.alpha(t), schedule.sigma(t)
                widest = (sigma / torch.hypot(alpha, sigma)).square()
                used = widest if variance != "small" or k == last else torch.zeros_like(widest)
                spread = broadcast(used, x_t).expand_as(x_t)
            if k == last and levels is not None:
                terms = _missed(x_0, mean, spread.sqrt(), levels)
            else:
                terms = step_divergence(schedule, t, s, (x_0 - mean).square(), spread)
            total = total + terms.double().flatten(1).sum(1)
    return total


def _prior_gap(alpha: Tensor, sigma: Tensor, x_0: Tensor) -> Tensor:
    """KL(N(alpha x_0, sigma^2) || N(0, alpha^2 + sigma^2)), (B,)."""
    share = (alpha / torch.hypot(alpha, sigma)).square()
    # log of the ratio of variances, then their ratio less 1, then the means
    terms = broadcast(share, x_0) * (x_0.square() - 1) - broadcast(torch.log1p(-share), x_0)
    return 0.5 * terms.flatten(1).sum(1)


def _missed(x: Tensor, mean: Tensor, deviation: Tensor, levels: int) -> Tensor:
    """-log of the probability that N(mean, deviation^2) rounds to x."""
    half = 1 / (levels - 1)
    upper = torch.where(x > 1 - half, math.inf, (x + half - mean) / deviation).double()
    lower = torch.where(x < half - 1, -math.inf, (x - half - mean) / deviation).double()
    # from the nearer tail, where the difference keeps its digits
    swap = lower > 0
    low, high = torch.where(swap, -upper, lower), torch.where(swap, -lower, upper)
    a, b = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    return -(b + torch.log1p(-(a - b).exp()))
