"""The Ornstein-Uhlenbeck process with exploding variance (OUVE), which drifts from x_0 towards y.

Speech Enhancement and Dereverberation with Diffusion-based Generative Models (Richter et al.,
2023), equations 4 to 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["OrnsteinUhlenbeck"]


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """A `Schedule` of the shifted variable u_t = x_t - shift(t) y.

    The mean is e^(-stiffness t) x_0 + (1 - e^(-stiffness t)) y, the diffusion coefficient
    sigma_min (sigma_max / sigma_min)^t sqrt(2 ln(sigma_max / sigma_min)). It does not arrive: at
    t = 1 part of x_0 is left, and there is noise. Sampling starts from y + sigma(1) z, as if x_0
    were y. Raises ValueError unless stiffness > 0 and 0 < sigma_min < sigma_max.
    """

    stiffness: float = 1.5
    sigma_min: float = 0.05
    sigma_max: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.stiffness < math.inf and 0 < self.sigma_min < self.sigma_max < math.inf):
            raise ValueError(f"given {self}; expected stiffness > 0, 0 < sigma_min < sigma_max")

    @property
    def _rate(self) -> float:
        """The growth of sigma / alpha, whose square is a multiple of e^(2 rate t) - 1."""
        return self.stiffness + math.log(self.sigma_max / self.sigma_min)

    @property
    def _scale(self) -> float:
        return self.sigma_min * math.sqrt(math.log(self.sigma_max / self.sigma_min) / self._rate)

    def shift(self, t: Tensor) -> Tensor:
        """Weight of y at time t."""
        return -torch.expm1(-self.stiffness * t)

    def alpha(self, t: Tensor) -> Tensor:
        """Weight of x_0 at time t."""
        return (-self.stiffness * t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise."""
        return self._scale * self.alpha(t) * torch.expm1(2 * self._rate * t).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        """Inverse of log(alpha / sigma)."""
        variance = (-2 * log_snr).exp() / self._scale**2
        return (torch.log1p(variance) / (2 * self._rate)).clamp(max=1)
