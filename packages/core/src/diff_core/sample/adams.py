r"""Adams-Bashforth methods with noise prediction: DEIS and LMS.

In y = x / alpha and rho = sigma / alpha the probability-flow ODE is dy = eps drho with the noise
eps = (x - alpha D) / sigma. A polynomial through the last values of eps is integrated exactly: one
in log rho is the exponential multistep method of Fast Sampling of Diffusion Models with
Exponential Integrator (DEIS, Zhang and Chen, 2023), one in rho its rhoAB, known as LMS from the
linear multistep sampler of k-diffusion (Crowson, 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.polynomial import falling_moments, rising_moments, steady, weights
from diff_core.sample.stages import advance, one_call, past, three_calls, two_calls
from diff_core.schedule import Schedule

__all__ = ["Deis", "Lms"]


@dataclass(frozen=True)
class _AdamsBashforth:
    """One call a step; the first steps are single ones of order `order` - 1, of more calls.

    A step much longer than those before it is of a lower order (`polynomial.steady`).
    """

    stochastic = False

    order: int

    def _integral(self, plan: Plan, k: int, points: int) -> list[float]:
        """Weights of the last eps, newest first, in int eps drho."""
        raise NotImplementedError

    def _steady(self, plan: Plan, k: int, most: int) -> int:
        """Return the number of the last eps that may be extrapolated over step k."""
        length = plan.log_snr[k + 1] - plan.log_snr[k]
        return steady(most, length, lambda points: self._integral(plan, k, points))

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows (weights of x and D in eps, 0 and 0 to forget it; then as in `stages.advance`)."""
        plan = levels(schedule, times)
        rows: list[tuple[float, ...]] = []
        stages: list[tuple[float, ...]] = []
        for k in range(plan.steps):
            alpha, sigma = plan.alpha[k], plan.sigma[k]
            noise = (1 / sigma, -alpha / sigma) if alpha > 0 and sigma > 0 else (0.0, 0.0)
            points = min(self.order, past(plan, k) + 1)
            row, inner = one_call(plan, k), ()
            if points >= max(1, self.order - 1):
                points = self._steady(plan, k, points)
                first, *before = [plan.alpha[k + 1] * w for w in self._integral(plan, k, points)]
                scale = plan.alpha[k + 1] / alpha + first * noise[0]
                row = (scale, first * noise[1], *before)
            elif points > 0:
                start = two_calls if self.order == 3 else three_calls
                row, inner = start(plan, schedule, [k])[k]
            rows.append((*noise, *row))
            stages.append(inner)
        return replace(plan, coefficients=tuple(rows), stages=tuple(stages))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        scale, share, *row = plan.coefficients[k]
        estimate = denoise(x, k)
        end = advance(denoise, x, estimate, row, plan.stage[k], memory)
        if scale == 0:
            return end, ()
        return end, (torch.add(x * scale, estimate, alpha=share), *memory)[: self.order - 1]


@dataclass(frozen=True)
class Deis(_AdamsBashforth):
    """DEIS: polynomials of the noise in log rho. Order 2 or 3, one call a step.

    Order 3 makes one more call in the first step; a step from alpha = 0 or to sigma = 0 is DDIM's.
    Raises ValueError for another order.
    """

    order: Literal[2, 3] = 3

    def __post_init__(self) -> None:
        if self.order not in (2, 3):
            raise ValueError(f"order is {self.order}; expected 2 or 3")

    def _integral(self, plan: Plan, k: int, points: int) -> list[float]:
        h, nodes = _nodes(plan, k, points)
        rho = plan.sigma[k] / plan.alpha[k]
        return [-rho * w for w in weights(nodes, falling_moments(h, points))]

    def _steady(self, plan: Plan, k: int, most: int) -> int:
        # the integral over a long step is of its beginning; what follows sees all of it
        h, nodes = _nodes(plan, k, most)
        moments = rising_moments(h, most)
        return steady(most, h, lambda points: weights(nodes[:points], moments))


@dataclass(frozen=True)
class Lms(_AdamsBashforth):
    """LMS: polynomials of the noise in rho. Order 2, 3 or 4, one call a step.

    Order 3 makes one more call in the first step, order 4 two in each of the first two; a step
    from alpha = 0 or to sigma = 0 is DDIM's. Raises ValueError for another order.
    """

    order: Literal[2, 3, 4] = 4

    def __post_init__(self) -> None:
        if self.order not in (2, 3, 4):
            raise ValueError(f"order is {self.order}; expected 2, 3 or 4")

    def _integral(self, plan: Plan, k: int, points: int) -> list[float]:
        rho = [plan.sigma[i] / plan.alpha[i] for i in range(k - points + 1, k + 2)]
        step = rho[-1] - rho[-2]
        nodes = [(value - rho[-2]) / step for value in rho[-2::-1]]
        return [step * w for w in weights(nodes, [1 / (j + 1) for j in range(points)])]


def _nodes(plan: Plan, k: int, points: int) -> tuple[float, list[float]]:
    """The length of step k in log-SNR, and the last points of the grid on the step from 0 to 1."""
    h = plan.log_snr[k + 1] - plan.log_snr[k]
    return h, [(plan.log_snr[k - i] - plan.log_snr[k]) / h for i in range(points)]
