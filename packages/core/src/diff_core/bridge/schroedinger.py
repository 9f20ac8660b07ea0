r"""Schroedinger bridges between y (t = 1) and x_0 (t = 0).

Schroedinger Bridge for Generative Speech Enhancement (Jukic et al., 2024). With a forward process
dx = f x dt + g dw, a_t = exp(int_0^t f), s_t^2 = int_0^t g^2 / a^2 and sb_t^2 = s_1^2 - s_t^2,

    x_t = a_t (sb_t^2 / s_1^2) x_0 + (a_t / a_1) (s_t^2 / s_1^2) y + a_t (s_t sb_t / s_1) z ,

their equation 8. Variance-exploding: a = 1, s_t^2 = c (k^(2t) - 1) / (2 ln k). Variance-
preserving: a_t = e^(-B / 2), s_t^2 = c (e^B - 1) with B = int_0^t beta.

On the shifted variable `Ddim()` is the paper's ODE sampler and `Ancestral()` its SDE sampler.
alpha and sigma are both 0 at t = 1, where u = 0 and nothing is to be divided: the first step is
the limit u_s = alpha_s D (+ sigma_s z), exact in every precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SchroedingerBridge", "SchroedingerBridgeVP"]


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


@dataclass(frozen=True)
class SchroedingerBridgeVP:
    """Variance-preserving bridge; a `Schedule` of the shifted variable u_t = x_t - shift(t) y.

    beta rises linearly from beta_min to beta_max and `c` scales the noise; the defaults are the
    paper's. With B the integral of beta, all three weights are hyperbolic sines of B / 2 and of
    what is left of it: those of x_0 and y mirror each other, and the variance of the noise is
    2 c times their product times sinh(B(1) / 2).
    Raises ValueError unless 0 < beta_min < beta_max and c > 0.
    """

    beta_min: float = 0.01
    beta_max: float = 20.0
    c: float = 0.3

    def __post_init__(self) -> None:
        if not (0 < self.beta_min < self.beta_max < math.inf and 0 < self.c < math.inf):
            raise ValueError(f"given {self}; expected 0 < beta_min < beta_max and c > 0")

    @property
    def _total(self) -> float:
        """B(1)."""
        return 0.5 * (self.beta_min + self.beta_max)

    def shift(self, t: Tensor) -> Tensor:
        """Weight of y at time t, from 0 to 1."""
        return self._rise(t) / self._rise(torch.ones_like(t))

    def alpha(self, t: Tensor) -> Tensor:
        """Weight of x_0 at time t, from 1 to 0."""
        return self._fall(t) / self._fall(torch.zeros_like(t))

    def _rise(self, t: Tensor) -> Tensor:
        """sinh(B / 2)."""
        slope = 0.5 * (self.beta_max - self.beta_min)
        return torch.sinh(0.5 * t * (self.beta_min + slope * t))

    def _fall(self, t: Tensor) -> Tensor:
        """sinh((B(1) - B) / 2)."""
        slope = 0.5 * (self.beta_max - self.beta_min)
        return torch.sinh(0.5 * (1 - t) * (self.beta_min + slope * (1 + t)))

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise, which is 0 at both ends."""
        scale = 2 * self.c * math.sinh(0.5 * self._total)
        return (scale * self.shift(t) * self.alpha(t)).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        """Inverse of log(alpha / sigma) = log(sb_t / (s_t s_1))."""
        growth = math.expm1(self._total)
        share = torch.sigmoid(-2 * log_snr - math.log(self.c * growth))
        reached = torch.log1p(share * growth)
        # B = t (beta_min + slope t)
        slope = 0.5 * (self.beta_max - self.beta_min)
        root = (self.beta_min**2 + 4 * slope * reached).sqrt()
        return (2 * reached / (self.beta_min + root)).clamp(max=1)
