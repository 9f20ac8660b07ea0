r"""Guidance at some noise levels only.

Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion
Models (Kynkaanniemi et al., 2024): guidance harms at high noise, where it fixes what
the sample will be, and does nothing at low noise. It costs no calls outside the interval.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diff_core.coefficients import broadcast, floats
from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser

__all__ = ["Interval"]


class Interval(Denoiser):
    """`guided` where the noise level sigma / alpha is in (low, high], `plain` elsewhere.

    Which of the two to call is read from t: on an accelerator a direct call waits for the device,
    a sampling, which knows its times beforehand, does not.
    Raises ValueError unless 0 <= low < high and both denoisers have the same schedule.
    """

    def __init__(self, guided: Denoiser, plain: Denoiser, *, low: float, high: float) -> None:
        super().__init__(guided.schedule)
        if plain.schedule != guided.schedule:
            raise ValueError(
                f"plain has schedule {plain.schedule}; expected that of guided, {guided.schedule}"
            )
        if not 0 <= low < high:
            raise ValueError(f"given low={low}, high={high}; expected 0 <= low < high")
        self.guided = guided
        self.plain = plain
        self.low = low
        self.high = high

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        inside = self._inside(t)
        if bool(inside.all()):
            return self.guided(x_t, t, cond)
        plain = self.plain(x_t, t, cond)
        if not bool(inside.any()):
            return plain
        return torch.where(broadcast(inside, x_t).bool(), self.guided(x_t, t, cond), plain)

    def check(self, times: Tensor) -> None:
        self.plain.check(times)
        self.guided.check(times[self._inside(times)])

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        inside = floats(self._inside(times))
        guided = self.guided.on_grid(times, like, cond)
        plain = self.plain.on_grid(times, like, cond)
        return lambda x, k: guided(x, k) if inside[k] else plain(x, k)

    def _inside(self, t: Tensor) -> Tensor:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return (sigma > self.low * alpha) & (sigma <= self.high * alpha)
