r"""EDM's stochastic sampler: Heun's method with noise added before each step ("churn").

Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), algorithm
2, in y = x / alpha and rho = sigma / alpha: the level is raised from rho to (1 + gamma) rho by
fresh noise, and Heun's step leads from there to the next time. Both parts keep the marginals, the
first exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.schedule import Schedule, log_snr

__all__ = ["HeunChurn"]


@dataclass(frozen=True)
class HeunChurn:
    """Heun with churn: gamma = min(s_churn / K, sqrt(2) - 1) on K steps. Weak order 2, two calls.

    Noise is added where s_min <= rho <= s_max, with a deviation multiplied by `s_noise` (the
    paper's 1.003 makes up for a network that removes too much; other than 1 leaves the marginals).
    rho is not raised over the schedule's greatest. s_churn = 0 is `Heun`.
    Raises ValueError if s_churn or s_noise is negative or s_min > s_max.
    """

    order = 2

    s_churn: float = 40.0
    s_min: float = 0.0
    s_max: float = math.inf
    s_noise: float = 1.0

    def __post_init__(self) -> None:
        if not (self.s_churn >= 0 and self.s_noise >= 0 and self.s_min <= self.s_max):
            raise ValueError(f"given {self}; expected s_churn, s_noise >= 0 and s_min <= s_max")

    @property
    def stochastic(self) -> bool:
        return self.s_churn > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (x and z for the raised state; x, D for Euler's point; D, D there for the end)."""
        plan = levels(schedule, times)
        gamma = min(self.s_churn / plan.steps, math.sqrt(2) - 1)
        lowest = log_snr(schedule, torch.ones((), dtype=torch.float64)).item()
        rows: list[tuple[float, ...]] = []
        stages: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            level, alpha, sigma = plan.log_snr[k], plan.alpha[k], plan.sigma[k]
            scale, spread, inner = 1.0, 0.0, ()
            if alpha > 0 and gamma > 0 and self.s_min <= sigma / alpha <= self.s_max:
                level = max(level - math.log1p(gamma), lowest)
                raised = schedule.time(torch.tensor([level], dtype=torch.float64))
                inner = floats(raised)
                higher, sigma = schedule.alpha(raised).item(), schedule.sigma(raised).item()
                scale = higher / alpha
                fresh = -math.expm1(2 * (level - plan.log_snr[k]))
                spread = self.s_noise * sigma * math.sqrt(fresh)
            gap = level - plan.log_snr[k + 1]
            # a bridge starts at sigma = 0 from a state that is exactly 0
            weight = plan.sigma[k + 1] / sigma if sigma > 0 else 0.0
            change, q = -plan.alpha[k + 1] * math.expm1(gap), math.exp(gap)
            corrector = plan.alpha[k + 1] * 0.5 * (1 / q - 1) if q > 0 else 0.0
            rows.append((scale, spread, weight, change, change - corrector, corrector))
            stages.append(inner)
        return replace(plan, coefficients=tuple(rows), stages=tuple(stages))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        scale, spread, weight, level, first, second = plan.coefficients[k]
        at = k
        if plan.stage[k]:
            at = plan.stage[k][0]
            x = x * scale
            if spread > 0 and noise is not None:
                x = torch.add(x, noise(k, x), alpha=spread)
        estimate = denoise(x, at)
        x = x * weight
        end = torch.add(x, estimate, alpha=level)
        if second > 0:
            end = torch.add(x, estimate, alpha=first).add_(denoise(end, k + 1), alpha=second)
        return end, ()
