r"""Runge-Kutta methods for the probability-flow ODE in the noise level rho = sigma / alpha.

With y = x / alpha the ODE of every schedule is dy/drho = (y - D) / rho: equation 3 of Elucidating
the Design Space of Diffusion-Based Generative Models (Karras et al., 2022). The steps are written
out for x, with q = rho_s / rho_t < 1, so that they hold at alpha = 0 and at sigma = 0 too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.stages import advance, one_call, past, stages_at
from diff_core.schedule import Schedule

__all__ = ["Dpm2", "Euler", "Heun"]


def _first_stages(schedule: Schedule, times: Tensor) -> Plan:
    """Rows (q, weight of x_t, weight of D) of Euler's method."""
    plan = levels(schedule, times)
    rows: list[tuple[float, ...]] = []
    for k in range(plan.steps):
        gap = plan.log_snr[k] - plan.log_snr[k + 1]
        sigma_t, sigma_s = plan.sigma[k], plan.sigma[k + 1]
        # a bridge starts at sigma = 0 from a state that is exactly 0
        weight = sigma_s / sigma_t if sigma_t > 0 else 0.0
        rows.append((math.exp(gap), weight, -plan.alpha[k + 1] * math.expm1(gap)))
    return replace(plan, coefficients=tuple(rows))


@dataclass(frozen=True)
class Euler:
    """Euler's method: y_s = y + (rho_s - rho_t) (y - D) / rho_t. Order 1.

    In exact arithmetic this is `Ddim()`: the ODE is linear in D over a step.
    """

    order = 1
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (q, weight of x_t, weight of D)."""
        return _first_stages(schedule, times)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        _, weight, level = plan.coefficients[k]
        return (x * weight).add_(denoise(x, k), alpha=level), ()


@dataclass(frozen=True)
class Heun:
    """Heun's method (algorithm 1 of Karras et al. without churn). Order 2, two calls a step.

    A step to sigma = 0, or from alpha = 0 where the slope has no finite value, is Euler's: one
    call. K steps to t = 0 are 2 K - 1 calls.
    """

    order = 2
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of x_t, of D for Euler's point; weight of D, of D there for the end)."""
        plan = _first_stages(schedule, times)
        rows: list[tuple[float, ...]] = []
        for k, (q, weight, level) in enumerate(plan.coefficients):
            # y_s = q y + (1 - q - w) D_t + w D_s with w = (1/q - 1) / 2
            alpha = plan.alpha[k + 1]
            corrector = alpha * 0.5 * (1 / q - 1) if q > 0 else 0.0
            rows.append((weight, level, level - corrector, corrector))
        return replace(plan, coefficients=tuple(rows))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        weight, level, first, second = plan.coefficients[k]
        estimate = denoise(x, k)
        x = x * weight
        end = torch.add(x, estimate, alpha=level)
        if second > 0:
            end = torch.add(x, estimate, alpha=first).add_(denoise(end, k + 1), alpha=second)
        return end, ()


@dataclass(frozen=True)
class Dpm2:
    """The midpoint method with the middle in log rho (DPM-Solver-2 of Karras et al.). Order 2.

    Two calls a step; a step from alpha = 0 or to sigma = 0 is Euler's, one call.
    """

    order = 2
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows as in `stages.advance`, with one stage."""
        plan = levels(schedule, times)
        finite = [k for k in range(plan.steps) if past(plan, k) >= 0]
        middles = stages_at(plan, schedule, finite, (0.5,))
        rows = [one_call(plan, k) for k in range(plan.steps)]
        stages: list[tuple[float, ...]] = [()] * plan.steps
        for k, (middle,) in zip(finite, middles, strict=True):
            # q to the middle; y_s = q^2 y - (1 - q) w D_t + w D_m with w = 1/q - q
            gap = 0.5 * (plan.log_snr[k] - plan.log_snr[k + 1])
            slope = -2 * plan.alpha[k + 1] * math.sinh(gap)
            euler = (middle.sigma / plan.sigma[k], -middle.alpha * math.expm1(gap))
            rows[k] = (*euler, rows[k][0], slope * math.expm1(gap), slope)
            stages[k] = (middle.time,)
        return replace(plan, coefficients=tuple(rows), stages=tuple(stages))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        return advance(denoise, x, denoise(x, k), plan.coefficients[k], plan.stage[k]), ()
