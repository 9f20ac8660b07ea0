r"""The Schroedinger bridge from a degraded signal y (t = 1) to the clean x_0 (t = 0).

Schroedinger Bridge for Generative Speech Enhancement (Jukic et al., 2024), variance-exploding
coefficients: with s_t^2 = c (k^(2t) - 1) / (2 ln k) and sb_t^2 = s_1^2 - s_t^2,

    x_t = (sb_t^2 / s_1^2) x_0 + (s_t^2 / s_1^2) y + (s_t sb_t / s_1) z .

On u_t = x_t - shift(t) y, shift = s_t^2 / s_1^2, this is an ordinary path alpha(t) x_0 +
sigma(t) z, so the ordinary samplers apply: `Ddim()` is the paper's ODE sampler and `Ancestral()`
its SDE sampler. alpha and sigma are both 0 at t = 1, where u = 0 and nothing is to be divided: the
first step is the limit u_s = alpha_s D (+ sigma_s z), exact in every precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser
from diff_core.noise import Noise
from diff_core.sample.loop import OnStep, Sampler, sample
from diff_core.schedule import broadcast, check_time, floats

__all__ = ["SchroedingerBridge", "Shifted", "bridge_marginal", "sample_bridge"]


@dataclass(frozen=True)
class SchroedingerBridge:
    """Variance-exploding bridge; a `Schedule` of the shifted variable u_t = x_t - shift(t) y.

    `k` is the growth of the noise over the path and `c` its scale: the variance of x_t given x_0
    and y is greatest, s_1^2 / 4 = c (k^2 - 1) / (8 ln k), where s_t^2 = s_1^2 / 2.
    Raises ValueError unless k > 1 and c > 0.
    """

    k: float = 2.6
    c: float = 0.4

    def __post_init__(self) -> None:
        if not (1 < self.k < math.inf and 0 < self.c < math.inf):
            raise ValueError(f"given k={self.k}, c={self.c}; expected k > 1 and c > 0")

    @property
    def _rate(self) -> float:
        return 2 * math.log(self.k)

    @property
    def _variance(self) -> float:
        """s_1^2."""
        return self.c * math.expm1(self._rate) / self._rate

    def shift(self, t: Tensor) -> Tensor:
        """Weight of y at time t: s_t^2 / s_1^2, from 0 to 1."""
        return torch.expm1(self._rate * t) / math.expm1(self._rate)

    def alpha(self, t: Tensor) -> Tensor:
        """Weight of x_0 at time t: sb_t^2 / s_1^2 = 1 - shift(t), without its cancellation."""
        growth = (self._rate * t).exp()
        return growth * torch.expm1(self._rate * (1 - t)) / math.expm1(self._rate)

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise: s_t sb_t / s_1, which is 0 at both ends."""
        return (self._variance * self.shift(t) * self.alpha(t)).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        """Inverse of log(alpha / sigma) = log(sb_t / (s_t s_1))."""
        # alpha/sigma = sqrt(alpha / (shift s_1^2)), hence shift = sigmoid(-(2 lambda + ln s_1^2))
        shift = torch.sigmoid(-2 * log_snr - math.log(self._variance))
        return torch.log1p(shift * math.expm1(self._rate)) / self._rate


def bridge_marginal(
    bridge: SchroedingerBridge, x_0: Tensor, y: Tensor, t: Tensor, noise: Tensor
) -> Tensor:
    """A draw of x_t given both ends: x_0, y and noise (standard normal) (B, ...), t () or (B,).

    Raises ValueError if the shapes differ or t is outside [0, 1].
    """
    for name, value in (("y", y), ("noise", noise)):
        if value.shape != x_0.shape:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; expected that of x_0, {tuple(x_0.shape)}"
            )
    check_time("t", t)
    alpha, sigma = broadcast(bridge.alpha(t), x_0), broadcast(bridge.sigma(t), x_0)
    return alpha * x_0 + broadcast(bridge.shift(t), x_0) * y + sigma * noise


class Shifted(Denoiser):
    """A bridge denoiser seen from the shifted variable: takes u_t = x_t - shift(t) y, gives x_0.

    It exists for the length of one sampling, with the y (B, ...) of that batch, and is not saved.
    Raises ValueError if the denoiser's schedule is not a `SchroedingerBridge`.
    """

    def __init__(self, denoiser: Denoiser, y: Tensor) -> None:
        bridge = denoiser.schedule
        if not isinstance(bridge, SchroedingerBridge):
            raise ValueError(
                f"the denoiser's schedule is {type(bridge).__name__}; expected SchroedingerBridge"
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
    `noise`, `on_step` and the errors are those of `sample`; `on_step` sees x_t, not u_t.
    Raises ValueError unless times[0] is 1.
    """
    if times.ndim != 1 or times.numel() < 2 or times[0] != 1:
        raise ValueError(f"times is {floats(times)}; expected a bridge to start at 1")
    if cond is None or cond.channels is None:
        cond = replace(cond or Condition(), channels=y)
    shifted = Shifted(denoiser, y)
    shifts = floats(shifted.bridge.shift(times.double()))

    def unshift(k: int, u: Tensor, x_0: Tensor) -> None:
        if on_step is not None:
            on_step(k, u + shifts[k + 1] * y, x_0)

    return sample(
        shifted, sampler, torch.zeros_like(y), times, noise=noise, cond=cond, on_step=unshift
    )
