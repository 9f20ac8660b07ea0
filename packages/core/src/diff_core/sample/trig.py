r"""Adams' predictor-corrector in the angle between signal and noise, with v prediction.

With s_d the standard deviation of the data and n^2 = sigma^2 + alpha^2 s_d^2, the state of every
schedule is z = x / n = cos(theta) x_0 / s_d + sin(theta) eps, where tan(theta) = sigma / (alpha
s_d), and the probability-flow ODE is

    dz / dtheta = v ,    v = cos(theta) eps - sin(theta) D / s_d :

TrigFlow, section 4.1 of Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models
(Lu and Song, 2024). v is all that the ODE has to integrate: it is 0 on Gaussian data of this
deviation, a combination of cos and sin where D no longer changes, and smooth from theta = pi / 2
(alpha = 0) to 0 (sigma = 0). Neither end is singular, so that the first and the last step are as
accurate as the others. The integrals are those of the trigonometric polynomial through the last
values of v: a combination of cos and sin through two, of 1, cos and sin through three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul
from typing import Literal

import numpy as np
from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.stages import combine, one_call
from diff_core.schedule import Schedule

__all__ = ["TrigAdams"]


@dataclass(frozen=True)
class TrigAdams:
    """Adams-Bashforth-Moulton in the angle of TrigFlow. Order 2 or 3, one call a step.

    A step is predicted from the last `order` values of v; v at its end, which the next step needs
    anyway, then takes the place of the oldest, and the step is made again. The first step is
    Euler's, whose error the correction mends. Exact on Gaussian data of deviation `sigma_data`.

    sigma_data: standard deviation of the data over all entries, as in `Preconditioned`; an error
        of a factor 2 costs some accuracy, not the order.

    Unlike in the other samplers the step to sigma = 0 is no special one: it ends where the ODE is
    extrapolated to, not at the last estimate of x_0. It is not corrected: `on_step` sees the
    predicted states. The step of a bridge from its start, where alpha and sigma are 0, and a grid
    of a single step to sigma = 0 are DDIM's.
    Raises ValueError for another order, or unless sigma_data is above 0.
    """

    stochastic = False

    order: Literal[2, 3] = 3
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        if self.order not in (2, 3):
            raise ValueError(f"order is {self.order}; expected 2 or 3")
        if not 0 < self.sigma_data < math.inf:
            raise ValueError(f"sigma_data is {self.sigma_data}; expected a number above 0")

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (x and D in v; x before and v at `order` times that correct; x and v to predict).

        The first two are 0 where v is not defined: then the last are x and D.
        """
        plan = levels(schedule, times)
        scaled = [alpha * self.sigma_data for alpha in plan.alpha]
        norm = [math.hypot(a, s) for a, s in zip(scaled, plan.sigma, strict=True)]
        angle = [math.atan2(s, a) for a, s in zip(scaled, plan.sigma, strict=True)]
        first = 0 if norm[0] > 0 else 1
        rows: list[tuple[float, ...]] = []
        corrector = (0.0,) * (1 + self.order)
        for k in range(plan.steps):
            if k < first or (k == first and plan.sigma[k + 1] == 0):
                rows.append((0.0, 0.0, *corrector, *one_call(plan, k)))
                continue
            velocity = (
                scaled[k] / (norm[k] * plan.sigma[k]),
                -norm[k] / (plan.sigma[k] * self.sigma_data),
            )
            oldest = max(k - self.order + 1, first)
            known = [angle[i] for i in range(k, oldest - 1, -1)]
            row = _step(norm, angle, k, known)
            rows.append((*velocity, *corrector, *row))
            ahead = [angle[k + 1], *known][: self.order]
            after = _step(norm, angle, k, ahead)
            corrector = (*after, *(0.0,) * (self.order - len(ahead)))
        return replace(plan, coefficients=tuple(rows))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        scale, share, *row = plan.coefficients[k]
        correct, predict = row[: 1 + self.order], row[1 + self.order :]
        estimate = denoise(x, k)
        if share == 0:
            return combine(x, predict, (estimate,)), ()
        v = (x * scale).add_(estimate, alpha=share)
        if memory:
            x = combine(memory[0], correct, (v, *memory[1:]))
        values = (v, *memory[1:])[: self.order]
        return combine(x, predict, values), (x, *values)


def _step(
    norm: Sequence[float], angle: Sequence[float], k: int, nodes: Sequence[float]
) -> tuple[float, ...]:
    """Step k with the trigonometric polynomial through v at `nodes`: weights of x and of each v.

    That of node i is sin(theta - theta_j) / sin(theta_i - theta_j) through two, and the product of
    such ratios of half the angles through three. Gauss-Legendre leaves less than rounding does in
    the closed form of the integral.
    """
    here, step = angle[k], angle[k + 1] - angle[k]
    frequency = 1.0 if len(nodes) == 2 else 0.5
    sines = [
        [math.sin(frequency * (here + step * part - node)) for part in _NODES] for node in nodes
    ]
    weights: list[float] = []
    for i, own in enumerate(nodes):
        total, scale = _WEIGHTS, norm[k + 1] * step
        for j, other in enumerate(nodes):
            if j != i:
                total = list(map(mul, total, sines[j]))
                scale /= math.sin(frequency * (own - other))
        weights.append(sum(total) * scale)
    return norm[k + 1] / norm[k], *weights


def _legendre(points: int) -> tuple[list[float], list[float]]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return (0.5 + 0.5 * nodes).tolist(), (0.5 * weights).tolist()


_NODES, _WEIGHTS = _legendre(6)
