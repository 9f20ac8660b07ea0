r"""DAPS: decoupled annealing posterior sampling.

Improving Diffusion Inverse Problem Solving with Decoupled Noise Annealing (Zhang et al., 2024),
algorithm 1. A step from t to s forgets x_t but for what it says of x_0:

    m = the end at t = 0 of the probability flow from x_t, in a few Euler steps
    x_0 ~ p(x_0 | m, y), proportional to N(x_0; m, r_t^2 I) p(y | x_0)         (equation 8)
    x_s = alpha_s x_0 + sigma_s z .

The draw of x_0 is exact for a linear measurement (`Measurement.draw`, where the paper makes
Langevin steps), and by Langevin steps with acceptance (`langevin`) for a nonlinear one. No
gradient of the denoiser. With r_t^2 = sigma^2 s^2 / (sigma^2 + alpha^2 s^2) and one Euler step,
where m is D, every step is exact on the prior N(m, s^2 I).

Bias: p(x_0 | x_t) is neither isotropic nor about the end of the flow. On the prior N(0, c I)
observed as y = x_0 + sigma_y n, with c / sigma_y^2 = 2.8 and 50 steps, the paper's r_t = sigma /
alpha with 5 Euler steps ends with 1.07 times the variance and 1.11 times the mean that are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diff_core.guidance.base import AnyMeasurement
from diff_core.guidance.langevin import langevin
from diff_core.noise import Noise
from diff_core.operator import Measurement
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.schedule import Schedule

__all__ = ["Daps"]

_POWER = 7
"""Of the inner grid, as in the paper and in `karras`."""


@dataclass(frozen=True, eq=False)
class Daps:
    """A sampler of p(x_0 | y) for any measurement, linear or not.

    solver_steps: Euler steps of the flow from x_t to 0; their levels are Karras's, between that of
        x_t and the lowest of the grid above 0. Each is a call of the denoiser
    sigma_data: s, the standard deviation of x_0, or None for the paper's r_t = sigma / alpha
    langevin_steps, rate: of a nonlinear measurement, see `langevin`

    The grid must start at alpha > 0.
    Raises ValueError for numbers that are not above 0, or a nonlinear measurement without noise;
    when called, if x has another shape than the signal measured.
    """

    order = 1
    stochastic = True

    measurement: AnyMeasurement
    solver_steps: int = 5
    sigma_data: float | None = None
    langevin_steps: int = 50
    rate: float = 0.3

    def __post_init__(self) -> None:
        for name in ("solver_steps", "langevin_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name, value in (("sigma_data", self.sigma_data), ("rate", self.rate)):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}; expected a number above 0")
        if not isinstance(self.measurement, Measurement) and self.measurement.sigma == 0:
            raise ValueError("measurement.sigma is 0; expected noise, for a nonlinear measurement")

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (r_t^2, then for each Euler step the weights of x and of D)."""
        plan = levels(schedule, times)
        if plan.alpha[0] == 0:
            raise ValueError(
                f"t = {plan.times[0]:g} has alpha = 0, where Daps has no flow to follow; expected "
                "times with alpha > 0: start the grid below it, as at t = 0.999"
            )
        # the log-SNR is log(alpha / sigma)
        rho = [math.exp(-level) for level in plan.log_snr]
        lowest = min(level for level in rho if level > 0)
        rows: list[tuple[float, ...]] = []
        stages: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            inner = _karras(rho[k], lowest, self.solver_steps)
            at = schedule.time(-torch.tensor(inner, dtype=torch.float64).log())
            alphas = [plan.alpha[k], *schedule.alpha(at).tolist(), 1.0]
            marks = [rho[k], *inner, 0.0]
            row = [self._variance(rho[k])]
            for i in range(len(marks) - 1):
                kept = marks[i + 1] / marks[i]
                row += [alphas[i + 1] / alphas[i] * kept, alphas[i + 1] * (1 - kept)]
            rows.append(tuple(row))
            stages.append(tuple(at.tolist()))
        return replace(plan, coefficients=tuple(rows), stages=tuple(stages))

    def _variance(self, rho: float) -> float:
        """r_t^2 at the noise level rho = sigma / alpha."""
        if self.sigma_data is None:
            return rho * rho
        return (rho * self.sigma_data / math.hypot(rho, self.sigma_data)) ** 2

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        if noise is None:
            raise ValueError("noise is None; expected a source of noise for Daps")
        self.measurement.check(x)
        variance, *weights = plan.coefficients[k]
        for at, kept, level in zip((k, *plan.stage[k]), weights[::2], weights[1::2], strict=True):
            x = torch.add(x * kept, denoise(x, at), alpha=level)

        def fresh(j: int, like: Tensor) -> Tensor:
            return noise(j * plan.steps + k, like)

        if isinstance(self.measurement, Measurement):
            spread = x.new_tensor(variance)
            drawn = self.measurement.draw(x, spread, fresh(1, x), fresh(2, self.measurement.y))
        else:
            drawn = langevin(
                self.measurement,
                x,
                variance,
                steps=self.langevin_steps,
                rate=self.rate,
                noise=lambda j, like: fresh(j + 1, like),
            )
        if plan.sigma[k + 1] == 0:
            return drawn, ()
        return torch.add(drawn * plan.alpha[k + 1], fresh(0, x), alpha=plan.sigma[k + 1]), ()


def _karras(highest: float, lowest: float, steps: int) -> list[float]:
    """The levels between highest and 0 of `steps` steps, the last from `lowest` to 0."""
    if highest <= lowest or steps == 1:
        return []
    ends = highest ** (1 / _POWER), lowest ** (1 / _POWER)
    return [(ends[0] + i / (steps - 1) * (ends[1] - ends[0])) ** _POWER for i in range(1, steps)]
