"""Sampling of bridges by the ordinary samplers, on the shifted variable."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from diff_core.bridge.path import Bridge
from diff_core.coefficients import broadcast, floats
from diff_core.condition import Condition, check_condition
from diff_core.denoiser import Denoise, Denoiser
from diff_core.grid import check_times
from diff_core.noise import Noise
from diff_core.sample.loop import OnStep, Sampler, sample

__all__ = ["Shifted", "sample_bridge"]


class Shifted(Denoiser):
    """A bridge denoiser seen from the shifted variable: takes u_t = x_t - shift(t) y, gives x_0.

    It exists for the length of one sampling, with the y (B, ...) of that batch, and is not saved.
    Raises ValueError if the denoiser's schedule is not a `Bridge`.
    """

    def __init__(self, denoiser: Denoiser, y: Tensor) -> None:
        bridge = denoiser.schedule
        if not isinstance(bridge, Bridge):
            raise ValueError(
                f"the denoiser's schedule is {type(bridge).__name__}; expected a bridge, with a "
                "shift"
            )
        super().__init__(bridge)
        self.bridge = bridge
        self.denoiser = denoiser
        self.y = y

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.denoiser(x_t + broadcast(self.bridge.shift(t), x_t) * self.y, t, cond)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        denoise = self.denoiser.on_grid(times, like, cond)
        shifts = floats(self.bridge.shift(times))
        return lambda u, k: denoise(torch.add(u, self.y, alpha=shifts[k]), k)


def sample_bridge(
    denoiser: Denoiser,
    sampler: Sampler,
    y: Tensor,
    times: Tensor,
    *,
    noise: Noise | None = None,
    cond: Condition | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Walk the bridge from y (B, C, *S) at times[0] = 1 to x_0, shape (B, C, *S).

    `denoiser` is the trained one, called as denoiser(x_t, t, cond) with cond.channels = y (filled
    in here unless `cond` has channels of its own). times = [1, 0] is one call, D(y, y, 1).
    `noise`, `on_step` and the errors are those of `sample`; `on_step` sees x_t, not u_t. A bridge
    with noise at t = 1 (OUVE) starts at y + sigma(1) z and draws z from `noise` at k = -1.
    Raises ValueError unless times[0] is 1, or if such a bridge is given no `noise`.
    """
    check_condition(cond)
    times = check_times(times)
    if times[0] != 1:
        raise ValueError(f"times is {floats(times)}; expected a bridge to start at 1")
    if cond is None or cond.channels is None:
        cond = replace(cond or Condition(), channels=y)
    shifted = Shifted(denoiser, y)
    shifts = floats(shifted.bridge.shift(times.double()))
    end = torch.ones((), dtype=torch.float64)
    arrives, spread = shifted.bridge.alpha(end).item() == 0, shifted.bridge.sigma(end).item()
    start = torch.zeros_like(y) if arrives else y * (1 - shifts[0])
    if spread > 0:
        if noise is None:
            raise ValueError(
                "noise is None; expected a source of noise for where the bridge starts"
            )
        start = torch.add(start, noise(-1, y), alpha=spread)

    def unshift(k: int, u: Tensor, x_0: Tensor) -> None:
        if on_step is not None:
            on_step(k, u + shifts[k + 1] * y, x_0)

    return sample(shifted, sampler, start, times, noise=noise, cond=cond, on_step=unshift)
