r"""Exponential Runge-Kutta methods in the log-SNR, with data prediction: no memory between steps.

DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (Lu et al., 2022),
algorithm 1 (2S), and its third-order relative. See `multistep` for the equation that they solve.
A step from alpha = 0 or to sigma = 0 is DDIM's: one call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.stages import advance, one_call, past, three_calls, two_calls
from diff_core.schedule import Schedule

__all__ = ["DpmSolverPP2S", "DpmSolverPP3S"]


@dataclass(frozen=True)
class DpmSolverPP2S:
    """DPM-Solver++(2S) with r = 1/2. Order 2, two calls a step."""

    order = 2
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows as in `stages.advance`, with one stage."""
        return _single(schedule, times, 2)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        return advance(denoise, x, denoise(x, k), plan.coefficients[k], plan.stage[k]), ()


@dataclass(frozen=True)
class DpmSolverPP3S:
    """DPM-Solver++(3S) with r = 1/3 and 2/3. Order 3, three calls a step."""

    order = 3
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows as in `stages.advance`, with two stages."""
        return _single(schedule, times, 3)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        return advance(denoise, x, denoise(x, k), plan.coefficients[k], plan.stage[k]), ()


def _single(schedule: Schedule, times: Tensor, calls: int) -> Plan:
    plan = levels(schedule, times)
    finite = [k for k in range(plan.steps) if past(plan, k) >= 0]
    found = (two_calls if calls == 2 else three_calls)(plan, schedule, finite)
    steps = [found.get(k, (one_call(plan, k), ())) for k in range(plan.steps)]
    return replace(
        plan,
        coefficients=tuple(row for row, _ in steps),
        stages=tuple(inner for _, inner in steps),
    )
