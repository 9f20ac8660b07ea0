"""At which times a denoiser is trained.

Any density of t that is above 0 everywhere has the same best denoiser: it and the weight decide
together where a network's capacity goes, and the density alone how noisy the gradient is. Uniform
in t suits variance-preserving schedules; where t is proportional to the noise level, as in `Edm`,
nearly all of it would be spent on levels that hide the data entirely.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diff_core.schedule import Schedule

__all__ = ["Times", "log_normal", "logit_normal"]

Times = Callable[[Schedule, Tensor], Tensor]
"""times(schedule, u) -> t (B,) in [0, 1], for u (B,) uniform in (0, 1)."""


def log_normal(mean: float = -1.2, deviation: float = 1.2) -> Times:
    """ln(sigma / alpha) is normal, on any schedule.

    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), table
    1; the defaults are its P_mean and P_std.
    Raises ValueError unless deviation is above 0.
    """
    _above_zero(deviation)
    return lambda schedule, u: schedule.time(-(mean + deviation * torch.special.ndtri(u)))


def logit_normal(mean: float = 0.0, deviation: float = 1.0) -> Times:
    """ln(t / (1 - t)) is normal, as suits `RectifiedFlow`.

    Scaling Rectified Flow Transformers for High-Resolution Image Synthesis (Esser et al., 2024),
    equation 19.
    Raises ValueError unless deviation is above 0.
    """
    _above_zero(deviation)
    return lambda schedule, u: torch.sigmoid(mean + deviation * torch.special.ndtri(u))


def _above_zero(deviation: float) -> None:
    if not deviation > 0:
        raise ValueError(f"deviation is {deviation}; expected a number above 0")
