r"""One-step samplers between x_t and E[x_0 | x_t]: ancestral (DDPM) and DDIM.

Denoising Diffusion Implicit Models (Song et al., 2021), equations 12 and 16, for any alpha and
sigma. With D = E[x_0 | x_t], eps = (x_t - alpha_t D) / sigma_t and r = (alpha_t / sigma_t) /
(alpha_s / sigma_s) < 1,

    x_s = alpha_s D + sigma_s sqrt(1 - eta^2 (1 - r^2)) eps + eta sigma_s sqrt(1 - r^2) z .

eta = 0 is the probability-flow ODE, eta = 1 a draw of q(x_s | x_t, x_0 = D): Denoising Diffusion
Probabilistic Models (Ho et al., 2020), equation 7. Its variance b leaves out that x_0 is not
known; with a variance V of x_0 it is b + c^2 V, where c is the weight of D (`diff_core.variance`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.schedule import Schedule
from diff_core.variance import DenoiseMoments

__all__ = ["Ancestral", "Ddim"]


def _transitions(schedule: Schedule, times: Tensor, eta: float, temperature: float) -> Plan:
    """Rows (weight of x_t, weight of D, weight of z)."""
    plan = levels(schedule, times)
    rows: list[tuple[float, ...]] = []
    for k in range(plan.steps):
        gap = plan.log_snr[k] - plan.log_snr[k + 1]
        # r^2 is 0 both from zero SNR and to a clean signal: then the step is alpha_s D (+ noise)
        fresh = -math.expm1(2 * gap)
        kept = math.sqrt(1 - eta * eta * fresh)
        sigma_t, sigma_s = plan.sigma[k], plan.sigma[k + 1]
        # a bridge starts at sigma = 0 from a state that is exactly 0
        weight = sigma_s * kept / sigma_t if sigma_t > 0 else 0.0
        level = plan.alpha[k + 1] * (1 - math.exp(gap) * kept)
        rows.append((weight, level, temperature * eta * sigma_s * math.sqrt(fresh)))
    return replace(plan, coefficients=tuple(rows))


def _step(
    denoise: Denoise, x: Tensor, k: int, plan: Plan, noise: Noise | None
) -> tuple[Tensor, Memory]:
    weight, level, spread = plan.coefficients[k]
    estimate = denoise(x, k)
    if weight == 0:
        x = estimate * level
    else:
        x = (x * weight).add_(estimate, alpha=level)
    if spread > 0 and noise is not None:
        x.add_(noise(k, x), alpha=spread)
    return x, ()


@dataclass(frozen=True)
class Ddim:
    """DDIM: deterministic at eta = 0, ancestral at eta = 1. Order 1.

    Raises ValueError unless 0 <= eta <= 1.
    """

    order = 1

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta is {self.eta}; expected 0 (deterministic) to 1 (ancestral)")

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of x_t, weight of D, weight of z)."""
        return _transitions(schedule, times, self.eta, 1.0)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        return _step(denoise, x, k, plan, noise)


@dataclass(frozen=True)
class Ancestral:
    """DDPM: draws q(x_s | x_t, x_0 = D), with the noise multiplied by `temperature`. Weak order 1.

    variance: "small" (that of q, right where x_0 is known), "large" (right for data N(0, I): the
        beta_t of DDPM), or "learned" (the denoiser's own Var[x_0 | x_t]: right for every step of
        Gaussian data, however long). The last step to sigma = 0 has no noise

    A temperature below 1 gives fewer, more typical samples. Raises ValueError if it is negative,
    for another variance, or in the first step if "learned" meets a denoiser that is no
    `MomentDenoiser`.
    """

    order = 1

    temperature: float = 1.0
    variance: Literal["small", "large", "learned"] = "small"

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; expected a number from 0 up")
        if self.variance not in ("small", "large", "learned"):
            raise ValueError(
                f"variance is {self.variance!r}; expected 'small', 'large' or 'learned'"
            )

    @property
    def stochastic(self) -> bool:
        return self.temperature > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of x_t, weight of D, weight of z without a learned variance)."""
        plan = _transitions(schedule, times, 1.0, self.temperature)
        if self.variance != "large":
            return plan
        rows: list[tuple[float, ...]] = []
        for k, (weight, level, spread) in enumerate(plan.coefficients):
            if plan.sigma[k + 1] > 0 and plan.sigma[k] > 0:
                deviation = plan.sigma[k] / math.hypot(plan.alpha[k], plan.sigma[k])
                spread = math.hypot(spread, self.temperature * level * deviation)
            rows.append((weight, level, spread))
        return replace(plan, coefficients=tuple(rows))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        if self.variance != "learned":
            return _step(denoise, x, k, plan, noise)
        if not isinstance(denoise, DenoiseMoments):
            raise ValueError(
                "variance is 'learned' and the denoiser knows none; expected a MomentDenoiser, "
                "such as WithVariance"
            )
        weight, level, spread = plan.coefficients[k]
        mean, variance = denoise.moments(x, k)
        x = (x * weight).add_(mean, alpha=level)
        if spread > 0 and noise is not None:
            total = variance * (self.temperature * level) ** 2 + spread * spread
            x.addcmul_(noise(k, x), total.sqrt())
        return x, ()
