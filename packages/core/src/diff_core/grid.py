"""Time grids: 1-D float64 tensors on the CPU that fall from a noisy time to a clean one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.schedule import Schedule, log_snr

__all__ = [
    "check_times",
    "karras",
    "quadratic",
    "trailing",
    "uniform",
    "uniform_flow",
    "uniform_log_snr",
]


def check_times(times: Tensor) -> Tensor:
    """`times` in float64 on the CPU.

    Raises TypeError unless it is a tensor, and ValueError unless it is 1-D, has at least 2
    entries, lies in [0, 1] and falls strictly.
    """
    if not isinstance(times, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"times is of type {type(times).__name__}; expected a tensor (K + 1,), such as "
            "uniform(10) or torch.tensor([1.0, 0.5, 0.0])"
        )
    if times.ndim != 1 or times.numel() < 2:
        raise ValueError(f"times has shape {tuple(times.shape)}; expected (K + 1,) with K >= 1")
    times = times.detach().to("cpu", torch.float64)
    values = floats(times)
    if not (values[0] <= 1 and values[-1] >= 0):
        raise ValueError(f"times goes from {values[0]} to {values[-1]}; expected it in [0, 1]")
    for k, (here, after) in enumerate(zip(values, values[1:], strict=False)):
        if not after < here:
            raise ValueError(
                f"times[{k + 1}] = {after} is not below times[{k}] = {here}; expected a strictly "
                "decreasing grid"
            )
    return times


def uniform(steps: int, start: float = 1.0, stop: float = 0.0) -> Tensor:
    """steps + 1 times at equal distances from `start` to `stop`.

    On a `Tabulated` schedule of N entries with N a multiple of `steps`, these are the entries that
    the "trailing" spacing of Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin et
    al., 2024) visits.
    """
    return check_times(torch.linspace(start, stop, _count(steps) + 1, dtype=torch.float64))


def quadratic(steps: int, start: float = 1.0, stop: float = 0.0) -> Tensor:
    """steps + 1 times with square roots at equal distances: closer together near the clean end.

    Denoising Diffusion Implicit Models (Song et al., 2021), appendix D.2.
    """
    return uniform(steps, start**0.5, stop**0.5).square()


def trailing(entries: int, steps: int) -> Tensor:
    """steps + 1 times, all but the last entries of a `Tabulated` schedule of that many, then 0.

    The "trailing" spacing of Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin et
    al., 2024), rounded as diffusers does it: for a network that knows no times between entries.
    Raises ValueError for more steps than entries.
    """
    if not _count(steps) <= entries:
        raise ValueError(f"steps is {steps}; expected at most the number of entries, {entries}")
    # Python rounds halves to even, as numpy does
    return check_times(
        torch.tensor(
            [round(entries - k * entries / steps) / entries for k in range(steps)] + [0.0],
            dtype=torch.float64,
        )
    )


def uniform_log_snr(
    schedule: Schedule, steps: int, start: float = 0.999, stop: float = 1e-3
) -> Tensor:
    """steps + 1 times at equal distances in log-SNR from `start` to `stop`, both in (0, 1).

    The spacing of DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in
    Around 10 Steps (Lu et al., 2022). It does not reach t = 0, where the log-SNR is infinite: use
    a small `stop`, or append 0.
    """
    ends = log_snr(schedule, torch.tensor([start, stop], dtype=torch.float64))
    if not bool(ends.isfinite().all()):
        raise ValueError(
            f"start = {start}, stop = {stop} have log-SNR {floats(ends)}; expected finite values"
        )
    levels = torch.linspace(ends[0].item(), ends[1].item(), _count(steps) + 1, dtype=torch.float64)
    times = schedule.time(levels)
    times[0], times[-1] = start, stop
    return check_times(times)


def uniform_flow(schedule: Schedule, steps: int, middle: float) -> Tensor:
    """steps + 1 times from 1 to 0 at equal distances in rho / (rho + middle), rho = sigma / alpha.

    The times of `uniform` for a rectified flow, on any schedule: from pure noise, half of the
    steps go to rho = `middle`, half from there to 0. Half of the data's standard deviation is a
    good middle for few steps (docs/core/samplers.md).
    Raises ValueError unless middle > 0.
    """
    if not 0 < middle < math.inf:
        raise ValueError(f"middle is {middle}; expected a noise level sigma / alpha above 0")
    top = -log_snr(schedule, torch.ones((), dtype=torch.float64)).item() - math.log(middle)
    share = torch.linspace(1 / (1 + math.exp(-top)), 0.0, _count(steps) + 1, dtype=torch.float64)
    times = schedule.time(-share.logit() - math.log(middle))
    times[0], times[-1] = 1.0, 0.0
    return check_times(times)


def karras(
    schedule: Schedule,
    steps: int,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
) -> Tensor:
    """steps + 1 times: `steps` noise levels sigma/alpha from sigma_max to sigma_min, then 0.

    Equation 5 of Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al.,
    2022), on any schedule. sigma_max is lowered to the schedule's own greatest level.
    Raises ValueError unless 0 < sigma_min < sigma_max and rho > 0.
    """
    top = -log_snr(schedule, torch.ones((), dtype=torch.float64))
    sigma_max = min(sigma_max, top.exp().item())
    if not 0 < sigma_min < sigma_max or not rho > 0:
        raise ValueError(
            f"given sigma_min={sigma_min}, sigma_max={sigma_max} (the schedule's own greatest "
            f"level counted), rho={rho}; expected 0 < sigma_min < sigma_max and rho > 0"
        )
    ramp = torch.linspace(
        sigma_max ** (1 / rho), sigma_min ** (1 / rho), _count(steps), dtype=torch.float64
    )
    times = schedule.time(-rho * ramp.log())
    return check_times(torch.cat([times, times.new_zeros(1)]))


def _count(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected at least 1")
    return steps
