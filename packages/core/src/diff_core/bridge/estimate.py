"""The estimate that the losses of a bridge are taken of."""

from __future__ import annotations

import torch
from torch import Tensor

from diff_core.bridge.path import bridge_marginal
from diff_core.bridge.schroedinger import SchroedingerBridge
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser

__all__ = ["bridge_estimate", "check_bridge_times"]


def check_bridge_times(one_step: float, t_min: float) -> None:
    """Raise ValueError unless one_step is in [0, 1] and t_min in [0, 1)."""
    if not 0 <= one_step <= 1 or not 0 <= t_min < 1:
        raise ValueError(
            f"one_step must be in [0, 1] and t_min in [0, 1), got {one_step} and {t_min}"
        )


def bridge_estimate(
    denoiser: Denoiser,
    x_0: Tensor,
    y: Tensor,
    generator: torch.Generator,
    *,
    one_step: float,
    t_min: float,
) -> Tensor:
    """Return the estimate of x_0 (B, ...) from a point of the bridge to y, given y as channels.

    one_step: probability of t = 1, which is where one pass starts; otherwise t is uniform in
              [t_min, 1]

    Raises ValueError for a denoiser whose schedule is no `SchroedingerBridge`.
    """
    bridge = denoiser.schedule
    if not isinstance(bridge, SchroedingerBridge):
        raise ValueError(f"the schedule is {type(bridge).__name__}, expected SchroedingerBridge")
    draws = torch.rand(2, len(x_0), generator=generator)
    t = torch.where(draws[0] < one_step, 1.0, t_min + (1 - t_min) * draws[1]).to(x_0.device)
    noise = torch.randn(x_0.shape, generator=generator).to(x_0.device)
    x_t = bridge_marginal(bridge, x_0, y, t, noise)
    return denoiser(x_t, t, Condition(channels=y))
