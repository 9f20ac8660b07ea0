r"""Times fitted to one denoiser and one sampler.

A grid that suits every denoiser suits none exactly. With the exact flow of a few states known, the
times inside of a grid can be moved until the sampler ends as near to it as it can. That is done
once for a trained network; sampling then costs no more than before.

Align Your Steps (Sabour et al., Align Your Steps: Optimizing Sampling Schedules in Diffusion
Models, 2024) moves the times in turn as well, and lowers a bound of the divergence between the
paths of solver and flow; here it is the distance at their end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.grid import check_times
from diff_core.sample.loop import Sampler, sample

__all__ = ["fit_times"]

_FINE = 32


def fit_times(
    denoiser: Denoiser,
    sampler: Sampler,
    x: Tensor,
    times: Tensor,
    *,
    cond: Condition | None = None,
    exact: Tensor | None = None,
    rounds: int = 6,
) -> Tensor:
    """Return times (K + 1,) with the ends of `times` on which the sampler's error is least.

    The error is the root mean square distance to `exact`. In each round every inner time in turn
    goes towards one of its neighbours if that lowers the error: at first by a quarter of the way,
    and by half of that after a round without success. It takes at most about 2 K rounds samplings.

    x:     (B, ...) states at times[0]: some hundred where they have few entries, which a few
           states would not stand for; some dozen of large ones
    times: the grid to begin with, best a good one, such as `uniform_flow`
    cond:  of the denoiser, a row for each of x
    exact: (B, ...) where the flow takes x at times[-1]; default: where the sampler ends with each
           step cut into 32

    The result suits the denoiser, its guidance, the sampler and the number of steps that it was
    fitted to. Raises ValueError for a stochastic sampler, fewer than 1 round, or an `exact` of
    another shape, and what `sample` raises.
    """
    times = check_times(times)
    if sampler.stochastic:
        raise ValueError(f"sampler is {sampler}, which is stochastic; expected one of the flow")
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; expected at least 1")
    if exact is None:
        exact = sample(denoiser, sampler, x, _cut(times), cond=cond)
    elif exact.shape != x.shape:
        raise ValueError(f"exact has shape {tuple(exact.shape)}; expected that of x")
    best = (sample(denoiser, sampler, x, times, cond=cond) - exact).square().mean().item()
    way = 0.25
    for _ in range(rounds):
        before = best
        for k in range(1, len(times) - 1):
            for neighbour in (k - 1, k + 1):
                tried = times.clone()
                tried[k] = torch.lerp(times[k], times[neighbour], way)
                error = _error(denoiser, sampler, x, tried, cond, exact)
                if error < best:
                    times, best = tried, error
                    break
        if best == before:
            way /= 2
    return times


def _error(
    denoiser: Denoiser,
    sampler: Sampler,
    x: Tensor,
    times: Tensor,
    cond: Condition | None,
    exact: Tensor,
) -> float:
    """Return the mean squared distance to `exact`; infinite where the sampler fails."""
    try:
        error = (sample(denoiser, sampler, x, times, cond=cond) - exact).square().mean().item()
    except ValueError:  # a grid that is too fine in one place, or values that are not finite
        return math.inf
    return error if math.isfinite(error) else math.inf


def _cut(times: Tensor) -> Tensor:
    """Return times with 32 steps in the place of each, closer together towards 0 in the last."""
    share = torch.arange(1, _FINE + 1, dtype=torch.float64) / _FINE
    parts = [times[:1]]
    for start, stop in zip(times[:-1], times[1:], strict=True):
        parts.append(torch.lerp(start, stop, share if stop > 0 else 1 - (1 - share).square()))
    return torch.cat(parts)
