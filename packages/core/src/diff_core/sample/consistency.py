r"""Multistep sampling of a consistency model.

Consistency Models (Song et al., 2023), algorithm 1: a consistency function f(x_t, t) is the end of
the probability-flow ODE at t = 0 itself. One call is a sample; more steps noise it again and
repeat, x_s = alpha_s f(x_t, t) + sigma_s z, which averages out the errors of f.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.schedule import Schedule

__all__ = ["Consistency"]


@dataclass(frozen=True)
class Consistency:
    """Noise the estimate of x_0 afresh at every time of the grid. One call a step.

    The denoiser must be a consistency function, with which every grid is exact. With a posterior
    mean the result does not converge to the data however fine the grid: order 0.
    """

    order = 0
    stochastic = True

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of D, weight of z)."""
        plan = levels(schedule, times)
        rows = tuple(zip(plan.alpha[1:], plan.sigma[1:], strict=True))
        return replace(plan, coefficients=rows)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        level, spread = plan.coefficients[k]
        x = denoise(x, k) * level
        if spread > 0 and noise is not None:
            x.add_(noise(k, x), alpha=spread)
        return x, ()
