r"""The probability-flow ODE with steps as long as a tolerance allows.

The exponential Runge-Kutta pair of orders 3 and 2 in DPM-Solver: A Fast ODE Solver for Diffusion
Probabilistic Model Sampling in Around 10 Steps (Lu et al., 2022), appendix C, with data
prediction: the second-order answer needs no call of its own, and its distance to the third-order
one is the error of a step in the log-SNR.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition, check_condition
from diff_core.denoiser import Denoiser
from diff_core.grid import check_times
from diff_core.schedule import Schedule, log_snr

__all__ = ["sample_adaptive"]


def sample_adaptive(
    denoiser: Denoiser,
    x: Tensor,
    start: float,
    stop: float,
    *,
    rtol: float = 1e-2,
    atol: float = 1e-3,
    first_step: float = 0.1,
    cond: Condition | None = None,
    max_calls: int = 3000,
) -> tuple[Tensor, int]:
    """Walk x (B, C, *S) from `start` to `stop` < start; returns it there, and the calls made.

    Each row has a time and a step of its own, so that it comes out the same in any batch: the
    calls go on until the slowest row is done. A step is accepted if the root mean square over the
    row of error / (atol + rtol |x|) is at most 1; its cube root sets the next step's size.
    first_step: in log-SNR.

    Both times need a finite log-SNR: begin with a step of `Ddim` from alpha = 0, and end at t = 0
    with denoiser(x, stop). The step size depends on the values, so that, unlike in `sample`, an
    accelerator waits for the CPU once in three calls.
    Raises ValueError for times out of order or range, a tolerance or step that is not positive,
    and when `max_calls` do not suffice.
    """
    for name, value in (("rtol", rtol), ("atol", atol), ("first_step", first_step)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}; expected a number above 0")
    check_condition(cond)
    times = check_times(torch.tensor([start, stop], dtype=torch.float64))
    denoiser.check(times)
    schedule = denoiser.schedule
    level, end = log_snr(schedule, times).unbind()
    if not bool(torch.isfinite(level) & torch.isfinite(end)):
        raise ValueError(
            f"start = {start}, stop = {stop} have log-SNR {level:g}, {end:g}; expected finite "
            "values"
        )
    level = level.expand(x.shape[0]).clone()
    step = torch.full_like(level, first_step)
    calls = 0
    with torch.no_grad():
        while bool((level < end).any()):
            if calls + 3 > max_calls:
                raise ValueError(
                    f"max_calls is {max_calls}: spent at log-SNR {level.min():g} on the way to "
                    f"{end:g}; expected more of them, or greater tolerances"
                )
            h = torch.minimum(step, end - level)
            better, worse = _pair(denoiser, schedule, x, level, h, cond)
            calls += 3
            scale = atol + rtol * torch.maximum(x.abs(), better.abs())
            error = ((better - worse) / scale).flatten(1).square().mean(1).sqrt()
            error = error.to("cpu", torch.float64)
            taken = error <= 1
            x = torch.where(broadcast(taken.to(x.device), x).bool(), better, x)
            # a last step lands on the end itself
            level = torch.where(taken, torch.where(step < end - level, level + h, end), level)
            step = h * (0.9 * error.clamp(min=1e-6).pow(-1 / 3)).clamp(0.2, 5.0)
    return x, calls


def _pair(
    denoiser: Denoiser,
    schedule: Schedule,
    x: Tensor,
    level: Tensor,
    h: Tensor,
    cond: Condition | None,
) -> tuple[Tensor, Tensor]:
    """DPM-Solver++(3S) and the 2S inside it, from log-SNR `level` over h, both (B,)."""

    def call(x: Tensor, level: Tensor) -> Tensor:
        t = schedule.time(level)
        return denoiser(x, t.to(x.device, torch.promote_types(x.dtype, torch.float32)), cond)

    def solve(part: Tensor, slope: Tensor) -> Tensor:
        """The end of a step `part` from x, with D = estimate + slope u over it."""
        t = schedule.time(level + part)
        alpha, constant = schedule.alpha(t), -torch.expm1(-part)
        weights = (schedule.sigma(t) / sigma, alpha * constant, alpha * (part - constant))
        kept, flat, bend = (broadcast(weight.to(x.device), x) for weight in weights)
        return kept * x + flat * estimate + bend * slope

    sigma = schedule.sigma(schedule.time(level))
    third, two_thirds = h / 3, 2 * h / 3
    estimate = call(x, level)
    inverse = broadcast((1 / third.clamp(min=1e-12)).to(x.device), x)
    first = (call(solve(third, torch.zeros_like(x)), level + third) - estimate) * inverse
    second = call(solve(two_thirds, first), level + two_thirds)
    return solve(h, (second - estimate) * (inverse / 2)), solve(h, first)
