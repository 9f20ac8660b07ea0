r"""The log-density that a denoiser gives to a signal, by the probability-flow ODE.

With y = x / alpha and u = ln(sigma / alpha) the ODE of every schedule is dy/du = y - D. Along a
path the density changes by the divergence (the instantaneous change of variables; equation 39 of
Score-Based Generative Modeling through Stochastic Differential Equations, Song et al., 2021):

    ln p_s(x_s) = ln p_t(x_t) + n ln(alpha_t / alpha_s) + int_{u_s}^{u_t} n - tr(dD/dy) du

for s < t and n the number of entries of a signal. The trace is exact at the cost of n backward
passes a call, or unbiased at the cost of one for each of a few random vectors e of signs,
tr(J) = E[e^T J e] (Hutchinson; FFJORD, Grathwohl et al., 2019). Integrated by the classical
Runge-Kutta method of order 4, four calls a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.grid import check_times
from diff_core.noise import Noise
from diff_core.schedule import log_snr

__all__ = ["log_likelihood"]


def log_likelihood(
    denoiser: Denoiser,
    x: Tensor,
    times: Tensor,
    *,
    cond: Condition | None = None,
    prior: Callable[[Tensor], Tensor] | None = None,
    probe: Noise | None = None,
    probes: int = 1,
) -> Tensor:
    """Log-density (B,), in nats, of x (B, C, *S) as a state at times[-1].

    times: (K + 1,), strictly decreasing, walked upwards here. Both ends need a finite log-SNR: at
        t = 0 data have no density if they lie on a surface. Take a small times[-1] and x =
        marginal(schedule, x_0, times[-1], noise), for the density of data with that much noise.
    prior: log-density (B,) of a state at times[0]; None is N(0, alpha^2 + sigma^2), right for data
        of mean 0 and variance 1 and close for others where alpha is small.
    probe: None for the exact trace; a source of noise for the estimate, unbiased in the integral:
        the signs of probe(j, x) for j from 0 to probes - 1, the same ones along a whole path.

    A row must not depend on the others of its batch. The weights get no gradients.
    Raises ValueError for a bad grid, a denoiser not defined on it or one that cannot be
    differentiated by x_t, or `probes` below 1.
    """
    if probes < 1:
        raise ValueError(f"probes is {probes}; expected at least 1")
    times = check_times(times)
    schedule = denoiser.schedule
    level = log_snr(schedule, times)
    if not bool(level.isfinite().all()):
        raise ValueError(
            f"times goes from {times[0].item():g} to {times[-1].item():g}, where the log-SNR is "
            f"{level[0].item():g} and {level[-1].item():g}; expected finite values"
        )
    grid = torch.cat([times, schedule.time(0.5 * (level[1:] + level[:-1]))])
    denoiser.check(grid)
    steps, size = times.numel() - 1, math.prod(x.shape[1:])
    alphas, rises = floats(schedule.alpha(grid)), floats(level.diff())
    signs = None if probe is None else [_signs(probe(j, x)) for j in range(probes)]
    denoise = denoiser.on_grid(grid, x, cond)

    def slope(y: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """dy/du and n - tr(dD/dy) at grid[k]."""
        with torch.enable_grad():
            x_t = (alphas[k] * y).detach().requires_grad_()
            estimate = denoise(x_t, k)
        if not estimate.requires_grad:
            raise ValueError(
                f"denoiser {type(denoiser).__name__} returned an answer without a gradient; "
                "expected one that can be differentiated by x_t"
            )
        return y - estimate.detach(), size - alphas[k] * _trace(estimate, x_t, signs)

    y = (x / alphas[steps]).detach()
    total = y.new_zeros(y.shape[0])
    for k in reversed(range(steps)):
        h, middle = rises[k], steps + 1 + k
        first, rate_1 = slope(y, k + 1)
        second, rate_2 = slope(y + 0.5 * h * first, middle)
        third, rate_3 = slope(y + 0.5 * h * second, middle)
        fourth, rate_4 = slope(y + h * third, k)
        y = y + h / 6 * (first + 2 * second + 2 * third + fourth)
        total = total + h / 6 * (rate_1 + 2 * rate_2 + 2 * rate_3 + rate_4)
    x_1 = alphas[0] * y
    if prior is None:
        end = times[0]
        variance = (schedule.alpha(end) ** 2 + schedule.sigma(end) ** 2).item()
        square = x_1.square().flatten(1).sum(1)
        density = -0.5 * (square / variance + size * math.log(2 * math.pi * variance))
    else:
        density = prior(x_1)
    return density + total + size * math.log(alphas[0] / alphas[steps])


def _signs(noise: Tensor) -> Tensor:
    return torch.ones_like(noise).copysign(noise)


def _trace(estimate: Tensor, x_t: Tensor, signs: list[Tensor] | None) -> Tensor:
    """tr(dD/dx_t) of every row, (B,): exact, or the mean over `signs`."""

    def product(v: Tensor) -> Tensor:
        """v^T dD/dx_t."""
        (found,) = torch.autograd.grad(
            estimate, x_t, v, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return found.flatten(1)

    if signs is not None:
        terms = [(product(e) * e.flatten(1)).sum(1) for e in signs]
        return torch.stack(terms).mean(0)
    total = x_t.new_zeros(x_t.shape[0])
    for i in range(estimate[0].numel()):
        unit = torch.zeros_like(estimate)
        unit.flatten(1)[:, i] = 1
        total = total + product(unit)[:, i]
    return total
