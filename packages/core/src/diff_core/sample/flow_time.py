r"""Runge-Kutta methods for the probability-flow ODE in flow time.

With tau = sigma / (alpha + sigma), from 1 (noise) to 0 (data), and z = x / (alpha + sigma), every
schedule's ODE is that of rectified flow (Flow Straight and Fast, Liu et al., 2023, equation 1):

    dz/dtau = u = (z - D) / tau .

A method with the nodes c, the matrix a and the weights b of its tableau makes z_s from z_t by

    u_i = u(z_i, tau_t + c_i h),  z_i = z_t + h sum_j a_ij u_j,  z_s = z_t + h sum_i b_i u_i

(Solving Ordinary Differential Equations I, Hairer et al., 1993, section II.1). Unlike the log-SNR,
tau is finite at alpha = 0, so the first step has full order too. At tau = 0 u has no value: the
last step of a method that looks there is the midpoint method's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.noise import Noise
from diff_core.sample.loop import Denoise, Memory, Plan, levels
from diff_core.sample.stages import Stage, advance, one_call
from diff_core.schedule import Schedule

__all__ = ["Kutta3", "Midpoint"]


class Tableau(NamedTuple):
    """The inner nodes c, the rows of a that lead to them, and the weights b."""

    nodes: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


MIDPOINT = Tableau((0.5,), ((0.5,),), (0.0, 1.0))
KUTTA = Tableau((0.5, 1.0), ((0.5,), (-1.0, 2.0)), (1 / 6, 2 / 3, 1 / 6))


@dataclass(frozen=True)
class Midpoint:
    """The midpoint method in flow time. Order 2, two calls a step."""

    order = 2
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows as in `stages.advance`, with one stage."""
        return _plan(schedule, times, MIDPOINT)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        return advance(denoise, x, denoise(x, k), plan.coefficients[k], plan.stage[k]), ()


@dataclass(frozen=True)
class Kutta3:
    """Kutta's third-order method in flow time. Order 3, three calls a step.

    A step to sigma = 0 is the midpoint method's, two calls.
    """

    order = 3
    stochastic = False

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """Rows as in `stages.advance`, with two stages."""
        return _plan(schedule, times, KUTTA)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        return advance(denoise, x, denoise(x, k), plan.coefficients[k], plan.stage[k]), ()


def _plan(schedule: Schedule, times: Tensor, tableau: Tableau) -> Plan:
    plan = levels(schedule, times)
    rows: list[tuple[float, ...]] = []
    inner: list[tuple[float, ...]] = []
    for k in range(plan.steps):
        if plan.sigma[k] == 0:  # a bridge starts from a state that is exactly 0
            rows.append(one_call(plan, k))
            inner.append(())
            continue
        chosen = MIDPOINT if plan.sigma[k + 1] == 0 else tableau
        ends = (_flow_time(plan, k), _flow_time(plan, k + 1))
        stages = _stages(schedule, [ends[0] + c * (ends[1] - ends[0]) for c in chosen.nodes])
        here = Stage(math.nan, plan.alpha[k], plan.sigma[k])
        end = Stage(math.nan, plan.alpha[k + 1], plan.sigma[k + 1])
        row = _row(chosen, here, stages, end)
        if end.sigma == 0:  # nothing of x is left, to the last bit
            row = (*row[:-3], 0.0, -end.alpha, 2 * end.alpha)
        rows.append(row)
        inner.append(tuple(stage.time for stage in stages))
    return replace(plan, coefficients=tuple(rows), stages=tuple(inner))


def _flow_time(plan: Plan, k: int) -> float:
    return plan.sigma[k] / (plan.alpha[k] + plan.sigma[k])


def _stages(schedule: Schedule, taus: Sequence[float]) -> list[Stage]:
    """The points of a schedule at these flow times in (0, 1)."""
    tau = torch.tensor(taus, dtype=torch.float64)
    times = schedule.time(torch.log((1 - tau) / tau))
    columns = (floats(times), floats(schedule.alpha(times)), floats(schedule.sigma(times)))
    return [Stage(*values) for values in zip(*columns, strict=True)]


def _row(tableau: Tableau, here: Stage, stages: Sequence[Stage], end: Stage) -> tuple[float, ...]:
    """The weights of x_t and of the D so far, for each stage in turn and then for the end."""
    points = (here, *stages)
    taus = [point.sigma / (point.alpha + point.sigma) for point in points]
    step = end.sigma / (end.alpha + end.sigma) - taus[0]
    # z and u as weights of (x_t, D_1, D_2, ...)
    start = torch.zeros(1 + len(points), dtype=torch.float64)
    start[0] = 1 / (here.alpha + here.sigma)
    slopes: list[Tensor] = []
    row: list[float] = []
    for i, (point, tau) in enumerate(zip(points, taus, strict=True)):
        z = start.clone()
        if i:
            for a, slope in zip(tableau.matrix[i - 1], slopes, strict=True):
                z += step * a * slope
            row += floats(z[: 1 + i] * (point.alpha + point.sigma))
        z[1 + i] -= 1.0
        slopes.append(z / tau)
    for b, slope in zip(tableau.weights, slopes, strict=True):
        start = start + step * b * slope
    return (*row, *floats(start * (end.alpha + end.sigma)))
