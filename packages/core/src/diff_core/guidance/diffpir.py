r"""DiffPIR: denoise, make it agree with y, renoise. No gradient of the denoiser.

Denoising Diffusion Models for Plug-and-Play Image Restoration (Zhu et al., 2023), algorithm 1.
Equation 13 pulls D to the data by a proximal step, in closed form for a linear A,

    D' = argmin_x |y - A x|^2 / sigma_y^2 + |x - D|^2 / r_t^2
       = D + A^T (A A^T + (sigma_y^2 / r_t^2) I)^-1 (y - A D) ,

with r_t^2 = (sigma / alpha)^2 / lambda. This is the posterior mean if x_0 is N(D, r_t^2 I) given
x_t; the paper's r_t^2 has no bound as noise grows, where the variance of the data s^2 is one:
`sigma_data` = s takes sigma^2 s^2 / (sigma^2 + alpha^2 s^2) in its place, and is exact on the
prior N(m, s^2 I). Then x_s is made with the noise that D' leaves and new noise, in fixed shares
(`Renoise`), or by any other sampler.

Bias of the paper's r_t^2 (lambda = 1), on N(0, c I) observed as y = x_0 + a^(1/2) n: the
probability flow ends with variance (c^a / a^c)^(1 / (a - c)), where a c / (a + c) is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.guidance.base import MeasurementGuided, estimate_variance
from diff_core.noise import Noise
from diff_core.operator import Measurement
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.schedule import Schedule

__all__ = ["DiffPir", "Renoise"]


class DiffPir(MeasurementGuided[Measurement]):
    """D' above.

    sigma_data: s, the standard deviation of x_0, or None for the paper's r_t^2.
    strength: 1 / lambda, which multiplies r_t^2: larger trusts y more.
    Raises ValueError unless both are above 0.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        measurement: Measurement,
        *,
        sigma_data: float | None = None,
        strength: float = 1.0,
    ) -> None:
        super().__init__(denoiser, measurement)
        if sigma_data is not None and not sigma_data > 0:
            raise ValueError(f"sigma_data is {sigma_data}; expected a number above 0, or None")
        if not 0 < strength < math.inf:
            raise ValueError(f"strength is {strength}; expected a number above 0")
        self.sigma_data = sigma_data
        self.strength = strength

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        self.measurement.check(x_t)
        estimate = self.denoiser(x_t, t, cond)
        if self.sigma_data is None:
            variance = (self.schedule.sigma(t) / self.schedule.alpha(t)) ** 2
        else:
            variance = estimate_variance(self.schedule, t, self.sigma_data)
        ratio = self.measurement.sigma**2 / (self.strength * variance)
        return estimate + self.measurement.correction(estimate, ratio)


@dataclass(frozen=True)
class Renoise:
    """x_s = alpha_s D + sigma_s (sqrt(1 - zeta) eps + sqrt(zeta) z).

    With eps = (x_t - alpha_t D) / sigma_t: the end of the loop of the paper's algorithm 1. zeta =
    0 is `Ddim()`, zeta = 1 keeps nothing of x_t but D. With zeta above 0 the new noise of a step
    does not shrink with the step: this is a scheme for a few dozen steps, not the discretisation
    of an SDE, and more steps do not make it exact.
    Raises ValueError unless 0 <= zeta <= 1.
    """

    order = 1

    zeta: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.zeta <= 1:
            raise ValueError(f"zeta is {self.zeta}; expected 0 (deterministic) to 1 (all new)")

    @property
    def stochastic(self) -> bool:
        return self.zeta > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of x_t, weight of D, weight of z)."""
        plan = levels(schedule, times)
        rows: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            sigma = plan.sigma[k + 1]
            kept = sigma * math.sqrt(1 - self.zeta) / plan.sigma[k] if plan.sigma[k] > 0 else 0.0
            level = plan.alpha[k + 1] - kept * plan.alpha[k]
            rows.append((kept, level, sigma * math.sqrt(self.zeta)))
        return replace(plan, coefficients=tuple(rows))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        kept, level, spread = plan.coefficients[k]
        x = torch.add(x * kept, denoise(x, k), alpha=level)
        if spread > 0 and noise is not None:
            x = torch.add(x, noise(k, x), alpha=spread)
        return x, ()
