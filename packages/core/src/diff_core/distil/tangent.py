r"""Derivatives along the probability-flow ODE, forward through the network.

In flow time tau = sigma / (alpha + sigma) the ODE of every schedule is dz/dtau = (z - D) / tau
for z = x / (alpha + sigma). A function of (x_t, t) changes along it by one product of its Jacobian
with the tangent, which costs about two calls of the network (torch.func.jvp).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from diff_core.coefficients import broadcast
from diff_core.schedule import Schedule

__all__ = ["along", "flow_time"]


def flow_time(schedule: Schedule, t: Tensor) -> Tensor:
    """tau = sigma / (alpha + sigma), from 0 (data) to 1 (noise)."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return sigma / (alpha + sigma)


def along(
    answer: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    x_t: Tensor,
    t: Tensor,
    estimate: Tensor,
) -> tuple[Tensor, Tensor]:
    """answer(x_t, t) and its derivative by tau along the ODE with this estimate of x_0.

    t: (B,), above 0, in the dtype of x_t (B, C, *S). Gradients are off.
    """
    start = flow_time(schedule, t)
    scale = schedule.alpha(t) + schedule.sigma(t)
    z = x_t / broadcast(scale, x_t)
    velocity = (z - estimate) / broadcast(start, x_t)

    def walk(time: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = schedule.alpha(time), schedule.sigma(time)
        tau = sigma / (alpha + sigma)
        moved = z + broadcast(tau - start, x_t) * velocity
        return answer(broadcast(alpha + sigma, x_t) * moved, time), tau

    # the fused kernels of attention have no forward derivative
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        found = torch.func.jvp(walk, (t,), (torch.ones_like(t),))
    (value, _), (change, pace) = cast("tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]", found)
    return value, change / broadcast(pace, x_t)
