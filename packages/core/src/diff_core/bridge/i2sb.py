r"""I2SB: a bridge whose noise is symmetric in time.

I2SB: Image-to-Image Schroedinger Bridge (Liu et al., 2023), equation 11. With s_t^2 = int_0^t beta
and sb_t^2 = int_t^1 beta the state between both ends is

    x_t = (sb_t^2 / s_1^2) x_0 + (s_t^2 / s_1^2) y + (s_t sb_t / s_1) z .

`Ancestral()` is the paper's sampler (its equation 4 makes the posterior of DDPM).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["I2sb"]


@dataclass(frozen=True)
class I2sb:
    """A `Schedule` of the shifted variable u_t = x_t - shift(t) y.

    sqrt(beta) rises linearly with t, at such a pace that it would go from sqrt(beta_min) to
    sqrt(beta_max) over [0, 1], until t = 1/2, and then falls as it rose. The defaults are those of
    the paper's code, its 1000 steps counted in. The step from t = 1 is exact, see `schroedinger`.
    Raises ValueError unless 0 < beta_min < beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.beta_min < self.beta_max < math.inf:
            raise ValueError(f"given {self}; expected 0 < beta_min < beta_max")

    @property
    def _rise(self) -> float:
        return math.sqrt(self.beta_max) - math.sqrt(self.beta_min)

    def _early(self, t: Tensor) -> Tensor:
        """s_t^2 for t <= 1/2."""
        low, rise = math.sqrt(self.beta_min), self._rise
        return t * (low * low + low * rise * t + rise * rise * t * t / 3)

    @property
    def _variance(self) -> float:
        """s_1^2."""
        return 2 * self._early(torch.tensor(0.5, dtype=torch.float64)).item()

    def shift(self, t: Tensor) -> Tensor:
        """Weight of y at time t: s_t^2 / s_1^2, from 0 to 1."""
        late = 1 - self._early(1 - t) / self._variance
        return torch.where(t <= 0.5, self._early(t) / self._variance, late)

    def alpha(self, t: Tensor) -> Tensor:
        """Weight of x_0 at time t: 1 - shift(t), without its cancellation."""
        return self.shift(1 - t)

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise: s_t sb_t / s_1, which is 0 at both ends."""
        return (self._variance * self.shift(t) * self.alpha(t)).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        """Inverse of log(alpha / sigma) = log(sb_t / (s_t s_1))."""
        exponent = -2 * log_snr - math.log(self._variance)
        # the smaller of the two weights, which carries the digits, and its time from its own end
        share = torch.sigmoid(-exponent.abs()) * self._variance
        # (low + rise t)^3 = low^3 + 3 rise s_t^2, whose root less 1 keeps its digits near t = 0
        low, rise = math.sqrt(self.beta_min), self._rise
        growth = torch.expm1(torch.log1p(share * (3 * rise / low**3)) / 3)
        t = growth * (low / rise)
        return torch.where(exponent < 0, t, 1 - t)
