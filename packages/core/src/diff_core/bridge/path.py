r"""The bridge: a schedule of the shifted variable.

All bridges here have a state x_t = alpha(t) x_0 + shift(t) y + sigma(t) z between the clean x_0
(t = 0) and a degraded y (t = 1). On u_t = x_t - shift(t) y this is an ordinary path alpha(t) x_0 +
sigma(t) z, so that the ordinary schedules' mathematics, denoisers and samplers apply to it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from diff_core.coefficients import broadcast, check_time
from diff_core.schedule import Schedule

__all__ = ["Bridge", "bridge_marginal"]


@runtime_checkable
class Bridge(Schedule, Protocol):
    """A `Schedule` of u_t = x_t - shift(t) y."""

    def shift(self, t: Tensor) -> Tensor:
        """Weight of y at time t, 0 at t = 0."""
        ...


def bridge_marginal(bridge: Bridge, x_0: Tensor, y: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """A draw of x_t given both ends: x_0, y and noise (standard normal) (B, ...), t () or (B,).

    Raises ValueError if the shapes differ or t is outside [0, 1].
    """
    for name, value in (("y", y), ("noise", noise)):
        if value.shape != x_0.shape:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; expected that of x_0, {tuple(x_0.shape)}"
            )
    check_time("t", t, x_0)
    alpha, sigma = broadcast(bridge.alpha(t), x_0), broadcast(bridge.sigma(t), x_0)
    return alpha * x_0 + broadcast(bridge.shift(t), x_0) * y + sigma * noise
