r"""UniPC: a predictor, and a corrector that costs no further call.

UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models (Zhao et al.,
2023), with data prediction. The predictor is the exponential multistep method through the last p
values of D. Its value of D at the end of the step, which the next step needs anyway, then gives a
polynomial through p + 1 values, with which the step is made again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.polynomial import rising_moments, steady, weights
from diff_core.sample.stages import advance, combine, one_call, past, three_calls
from diff_core.schedule import Schedule

__all__ = ["UniPC"]


@dataclass(frozen=True)
class UniPC:
    """UniPC-p in the log-SNR. One call a step, order p + 1.

    correction: "heun" integrates the polynomials exactly, which makes the paper's choice of B(h)
    immaterial, and for p = 3 makes two more calls in the first step, to keep the order.
    "midpoint" is the paper's code with B_2(h), the UniPC of diffusers: a slope through two values
    has the weight (1 - e^-h) h / 2, as in `DpmSolverPP2M`, the first step has no more calls, and
    the last before sigma = 0 takes two values at most. It has the smaller error in few steps. The
    first step of p = 3 then leaves an error of order 3, too small to be seen where the walk begins
    at noise, since D hardly changes there.

    A step from alpha = 0 or to sigma = 0 is DDIM's and is not corrected, nor is the last:
    `on_step` sees the predicted states. A step much longer than those before it is of a lower
    order (`polynomial.steady`). Raises ValueError for another p or correction.
    """

    stochastic = False

    p: Literal[2, 3] = 2
    correction: Literal["heun", "midpoint"] = "heun"

    def __post_init__(self) -> None:
        if self.p not in (2, 3):
            raise ValueError(f"p is {self.p}; expected 2 or 3")
        if self.correction not in ("heun", "midpoint"):
            raise ValueError(f"correction is {self.correction!r}; expected 'heun' or 'midpoint'")

    @property
    def order(self) -> int:
        return self.p + 1

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows of p + 2 weights (x before, D at p + 1 times) that correct, then `advance`'s."""
        plan = levels(schedule, times)
        exact = self.correction == "heun"
        through = _through if exact else _midpoint
        # the step before the one to sigma = 0, where there is one
        last = plan.steps - 2 if math.isinf(plan.log_snr[-1]) else plan.steps
        rows: list[tuple[float, ...]] = []
        stages: list[tuple[float, ...]] = []
        corrector = (0.0,) * (self.p + 2)
        for k in range(plan.steps):
            known = past(plan, k) + 1
            row, inner = one_call(plan, k), ()
            after = (0.0,) * (self.p + 2)
            if exact and self.p == 3 and known == 1:
                # already as accurate as a corrected step must be
                row, inner = three_calls(plan, schedule, [k])[k]
            elif known > 0:
                points = steady(
                    min(self.p, known, 3 if exact or k < last else 2),
                    plan.log_snr[k + 1] - plan.log_snr[k],
                    lambda p, k=k: through(plan, k, range(k, k - p, -1))[1:],
                )
                row = through(plan, k, range(k, k - points, -1))
                after = through(plan, k, range(k + 1, k - points, -1))
                after += (0.0,) * (self.p + 2 - len(after))
            rows.append((*corrector, *row))
            stages.append(inner)
            corrector = after
        return replace(plan, coefficients=tuple(rows), stages=tuple(stages))

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        row, split = plan.coefficients[k], self.p + 2
        estimate = denoise(x, k)
        if row[1] != 0:
            x = combine(memory[0], row[:split], (estimate, *memory[1:]))
        end = advance(denoise, x, estimate, row[split:], plan.stage[k], memory[1:])
        return end, (x, estimate, *memory[1:])[: self.p + 1]


def _through(plan: Plan, k: int, indices: range) -> tuple[float, ...]:
    """Step k with the polynomial through D at these grid points: weights of x and of each D."""
    h = plan.log_snr[k + 1] - plan.log_snr[k]
    nodes = [(plan.log_snr[i] - plan.log_snr[k]) / h for i in indices]
    found = weights(nodes, rising_moments(h, len(nodes)))
    return one_call(plan, k)[0], *(plan.alpha[k + 1] * w for w in found)


def _midpoint(plan: Plan, k: int, indices: range) -> tuple[float, ...]:
    """`_through`, but half of the step's weight for the slope of two values."""
    if len(indices) != 2:
        return _through(plan, k, indices)
    weight, level = one_call(plan, k)
    one, other = (plan.log_snr[i] for i in indices)
    slope = 0.5 * level * (plan.log_snr[k + 1] - plan.log_snr[k]) / (one - other)
    # the value at the start of the step has the whole weight, and the line its slope
    first, second = (level if i == k else 0.0 for i in indices)
    return weight, first + slope, second - slope
