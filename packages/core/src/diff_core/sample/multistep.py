r"""Exponential multistep methods in the log-SNR, with data prediction.

The probability-flow ODE from t to s, with lambda = log(alpha / sigma) and D a function of lambda:

    x_s = (sigma_s / sigma_t) x_t + sigma_s int_{lambda_t}^{lambda_s} e^lambda D dlambda ,

equation 8 of DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (Lu
et al., 2022). The linear part is exact; D is replaced by a polynomial through its last values.

With noise, `eta` > 0, the reverse SDE of the same marginals takes the ODE's place (SA-Solver:
Stochastic Adams Solver for Fast Sampling of Diffusion Models, Xue et al., 2023, with tau^2 = eta):

    x_s = (sigma_s / sigma_t) e^(-eta h) x_t
          + alpha_s int_0^h c e^(-c (h - u)) D(lambda_t + u) du + sigma_s sqrt(1 - e^(-2 eta h)) z

with h = lambda_s - lambda_t and c = 1 + eta. eta = 1 is the SDE of DPM-Solver++ and k-diffusion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.polynomial import rising_moments, steady, weights
from diff_core.sample.stages import advance, one_call, past, two_calls
from diff_core.schedule import Schedule

__all__ = ["DpmSolverPP2M", "DpmSolverPP3M"]


@dataclass(frozen=True)
class DpmSolverPP2M:
    """DPM-Solver++(2M), algorithm 2 of the paper; with eta > 0 its SDE form, 2M-SDE.

    Order 2 (weak order 2 with noise), one call a step.

    With h = lambda_s - lambda_t, the slope through the last two values of D has the weight
    (1 - e^-h) h / 2 of the paper ("midpoint"), or its exact integral h - (1 - e^-h) ("heun", the
    name diffusers gives it): exact for D linear in lambda, but no better on coarse grids. The
    first step, one from alpha = 0 or to sigma = 0, and one much longer than the step before it
    (`polynomial.steady`) are of order 1: DDIM's.
    Raises ValueError for another `correction` or an eta that is negative or infinite.
    """

    order = 2

    correction: Literal["midpoint", "heun"] = "midpoint"
    eta: float = 0.0

    def __post_init__(self) -> None:
        if self.correction not in ("midpoint", "heun"):
            raise ValueError(f"correction is {self.correction!r}; expected 'midpoint' or 'heun'")
        _check_eta(self.eta)

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of x_t, weight of D_t, weight of the D before, weight of z)."""
        plan = levels(schedule, times)
        rows: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            h = plan.log_snr[k + 1] - plan.log_snr[k]
            alpha = plan.alpha[k + 1]
            weight, spread = _decay(plan, k, self.eta)
            level, slope = -alpha * math.expm1(-(1 + self.eta) * h), 0.0
            before = plan.log_snr[k] - plan.log_snr[k - 1] if k > 0 else math.inf
            if math.isfinite(h) and math.isfinite(before):
                exact = alpha * h - level / (1 + self.eta)
                line = 0.5 * level * h if self.correction == "midpoint" else exact
                slope = line / before
                if steady(2, h, lambda _, d=level, s=slope: (d + s, -s)) < 2:
                    slope = 0.0
            rows.append((weight, level + slope, -slope, spread))
        return replace(plan, coefficients=tuple(rows))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        weight, level, before, spread = plan.coefficients[k]
        estimate = denoise(x, k)
        x = (x * weight).add_(estimate, alpha=level)
        if before != 0 and memory:
            x.add_(memory[0], alpha=before)
        if spread > 0 and noise is not None:
            x.add_(noise(k, x), alpha=spread)
        return x, (estimate,)


@dataclass(frozen=True)
class DpmSolverPP3M:
    """DPM-Solver++(3M); with eta > 0 its SDE form, 3M-SDE. One call a step, one more at the start.

    The exact integral of the parabola through the last three values of D: order 3. The published
    code (dpm-solver, diffusers, and with noise k-diffusion) has half of the second difference and
    with it order 2. The first step is 2S's, the second 2M's, each accurate enough to keep the
    order; a step from alpha = 0 or to sigma = 0 is DDIM's, and one much longer than those before
    it takes fewer values (`polynomial.steady`). With noise the weak order is 2: the
    first step then is still 2S's, without noise, which keeps the marginals as well.
    Raises ValueError if eta is negative or infinite.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        _check_eta(self.eta)

    @property
    def order(self) -> int:
        return 3 if self.eta == 0 else 2

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weight of z, then as in `stages.advance`)."""
        plan = levels(schedule, times)
        rows: list[tuple[float, ...]] = []
        stages: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            points = min(3, past(plan, k) + 1)
            weight, spread = _decay(plan, k, self.eta)
            row, inner = (weight, one_call(plan, k)[1]), ()
            if points == 1:
                (row, inner), spread = two_calls(plan, schedule, [k])[k], 0.0
            elif points > 1:
                h = plan.log_snr[k + 1] - plan.log_snr[k]
                nodes = [(plan.log_snr[k - i] - plan.log_snr[k]) / h for i in range(points)]
                moments = rising_moments((1 + self.eta) * h, points)
                points = steady(points, h, lambda p, n=nodes, m=moments: weights(n[:p], m))
                found = weights(nodes[:points], moments)
                row = (weight, *(plan.alpha[k + 1] * w for w in found))
            rows.append((spread, *row))
            stages.append(inner)
        return replace(plan, coefficients=tuple(rows), stages=tuple(stages))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        spread, *row = plan.coefficients[k]
        estimate = denoise(x, k)
        x = advance(denoise, x, estimate, row, plan.stage[k], memory)
        if spread > 0 and noise is not None:
            x.add_(noise(k, x), alpha=spread)
        return x, (estimate, *memory)[:2]


def _check_eta(eta: float) -> None:
    if not 0 <= eta < math.inf:
        raise ValueError(f"eta is {eta}; expected 0 (the ODE) or a number above")


def _decay(plan: Plan, k: int, eta: float) -> tuple[float, float]:
    """Weights of x_t and z: sigma_s / sigma_t e^(-eta h) and sigma_s sqrt(1 - e^(-2 eta h))."""
    sigma_t, sigma_s = plan.sigma[k], plan.sigma[k + 1]
    # a bridge starts at sigma = 0 from a state that is exactly 0
    weight = sigma_s / sigma_t if sigma_t > 0 else 0.0
    if eta == 0:
        return weight, 0.0
    step = eta * (plan.log_snr[k + 1] - plan.log_snr[k])
    return weight * math.exp(-step), sigma_s * math.sqrt(-math.expm1(-2 * step))
