r"""Exponential multistep methods in the log-SNR, with data prediction.

The probability-flow ODE from t to s, with lambda = log(alpha / sigma) and D a function of lambda:

    x_s = (sigma_s / sigma_t) x_t + sigma_s int_{lambda_t}^{lambda_s} e^lambda D dlambda ,

equation 8 of DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (Lu
et al., 2022). The linear part is exact; D is replaced by a polynomial through its last values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.schedule import Schedule

__all__ = ["DpmSolverPP2M"]


@dataclass(frozen=True)
class DpmSolverPP2M:
    """DPM-Solver++(2M), algorithm 2 of the paper. Order 2, one call a step.

    With h = lambda_s - lambda_t, the slope through the last two values of D has the weight
    (1 - e^-h) h / 2 of the paper ("midpoint"), or its exact integral h - (1 - e^-h) ("heun", the
    name diffusers gives it): exact for D linear in lambda, but no better on coarse grids. The
    first step, and one from alpha = 0 or to sigma = 0, are of order 1: DDIM's.
    Raises ValueError for another `correction`.
    """

    correction: Literal["midpoint", "heun"] = "midpoint"

    def __post_init__(self) -> None:
        if self.correction not in ("midpoint", "heun"):
            raise ValueError(f"correction is {self.correction!r}; expected 'midpoint' or 'heun'")

    @property
    def order(self) -> int:
        return 2

    @property
    def stochastic(self) -> bool:
        return False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of x_t, weight of D_t, weight of the D before)."""
        plan = levels(schedule, times)
        rows: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            h = plan.log_snr[k + 1] - plan.log_snr[k]
            sigma_t, sigma_s, alpha = plan.sigma[k], plan.sigma[k + 1], plan.alpha[k + 1]
            # a bridge starts at sigma = 0 from a state that is exactly 0
            weight = sigma_s / sigma_t if sigma_t > 0 else 0.0
            level, slope = -alpha * math.expm1(-h), 0.0
            before = plan.log_snr[k] - plan.log_snr[k - 1] if k > 0 else math.inf
            if math.isfinite(h) and math.isfinite(before):
                line = 0.5 * level * h if self.correction == "midpoint" else alpha * h - level
                slope = line / before
            rows.append((weight, level + slope, -slope))
        return replace(plan, coefficients=tuple(rows))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        weight, level, before = plan.coefficients[k]
        estimate = denoise(x, k)
        x = torch.add(x * weight, estimate, alpha=level)
        if before != 0 and memory:
            x = torch.add(x, memory[0], alpha=before)
        return x, (estimate,)
