"""The steps of methods of order 2 and more: linear combinations, and first steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.sample.loop import Denoise, Memory, Plan
from diff_core.schedule import Schedule

__all__ = [
    "SingleStep",
    "Stage",
    "advance",
    "combine",
    "one_call",
    "past",
    "stages_at",
    "three_calls",
    "two_calls",
]

SingleStep = tuple[tuple[float, ...], tuple[float, ...]]
"""A row of coefficients as in `advance`, and the times of its stages."""


class Stage(NamedTuple):
    """A point inside of a step."""

    time: float
    alpha: float
    sigma: float


def combine(x: Tensor, row: Sequence[float], values: Iterable[Tensor]) -> Tensor:
    """row[0] x + row[1] values[0] + ..., a new tensor; values beyond the row are left out."""
    total = x * row[0]
    for weight, value in zip(row[1:], values, strict=False):
        if weight != 0:
            total.add_(value, alpha=weight)
    return total


def advance(
    denoise: Denoise,
    x: Tensor,
    estimate: Tensor,
    row: Sequence[float],
    stages: range = range(0),
    memory: Memory = (),
) -> Tensor:
    """One step from x, where D is `estimate`, by combinations of x, D and `memory`.

    `row` has the weights of the point of each of the `stages` in turn (x, then the D so far) and
    then those of the end (x, all D of this step, the memory).
    """
    values, begin = [estimate], 0
    for at in stages:
        end = begin + 1 + len(values)
        values.append(denoise(combine(x, row[begin:end], values), at))
        begin = end
    return combine(x, row[begin:], (*values, *memory))


def past(plan: Plan, k: int) -> int:
    """Return the number of grid points just before k whose log-SNR is finite: a polynomial may use
    them.

    -1 if the step from k is itself infinite, from alpha = 0 or to sigma = 0.
    """
    if not (math.isfinite(plan.log_snr[k]) and math.isfinite(plan.log_snr[k + 1])):
        return -1
    # only t = 1 can have alpha = 0
    return k if math.isfinite(plan.log_snr[0]) else k - 1


def one_call(plan: Plan, k: int) -> tuple[float, ...]:
    """DDIM's step: order 1, and the exact limit where the step is infinite."""
    gap = plan.log_snr[k] - plan.log_snr[k + 1]
    return _decay(plan, k), -plan.alpha[k + 1] * math.expm1(gap)


def two_calls(plan: Plan, schedule: Schedule, steps: Sequence[int]) -> dict[int, SingleStep]:
    """The rows and the stage of DPM-Solver++(2S) with r = 1/2: order 2.

    D in the middle of the step (in log-SNR) stands for all of it.
    """
    found: dict[int, SingleStep] = {}
    for k, (middle,) in zip(steps, stages_at(plan, schedule, steps, (0.5,)), strict=True):
        row = (*_part(plan, k, middle, 0.5), _decay(plan, k), 0.0, one_call(plan, k)[1])
        found[k] = row, (middle.time,)
    return found


def three_calls(plan: Plan, schedule: Schedule, steps: Sequence[int]) -> dict[int, SingleStep]:
    """The rows and the stages of DPM-Solver++(3S) with r = 1/3, 2/3: order 3.

    With D_1 at 1/3 and D_2 at 2/3 of the step h, D's slope is taken as (D_1 - D) / (h / 3) for
    the second stage and as (D_2 - D) / (2 h / 3) for the end.
    """
    found: dict[int, SingleStep] = {}
    inner = stages_at(plan, schedule, steps, (1 / 3, 2 / 3))
    for k, (third, two_thirds) in zip(steps, inner, strict=True):
        h = plan.log_snr[k + 1] - plan.log_snr[k]
        decay, level = _part(plan, k, two_thirds, 2 / 3)
        # int_0^a e^-(a - u) u du = a - (1 - e^-a), for slopes per unit of log-SNR
        bend = (two_thirds.alpha * (2 * h / 3) - level) / (h / 3)
        end_decay, end_level = one_call(plan, k)
        end_bend = (plan.alpha[k + 1] * h - end_level) / (2 * h / 3)
        row = (
            *_part(plan, k, third, 1 / 3),
            *(decay, level - bend, bend),
            *(end_decay, end_level - end_bend, 0.0, end_bend),
        )
        found[k] = row, (third.time, two_thirds.time)
    return found


def stages_at(
    plan: Plan, schedule: Schedule, steps: Sequence[int], fractions: Sequence[float]
) -> list[tuple[Stage, ...]]:
    """Stages at these fractions of each of the steps, counted in log-SNR."""
    gaps = [plan.log_snr[k + 1] - plan.log_snr[k] for k in steps]
    times = schedule.time(
        torch.tensor(
            [
                plan.log_snr[k] + part * h
                for k, h in zip(steps, gaps, strict=True)
                for part in fractions
            ],
            dtype=torch.float64,
        )
    )
    columns = (floats(times), floats(schedule.alpha(times)), floats(schedule.sigma(times)))
    stages = [Stage(*values) for values in zip(*columns, strict=True)]
    count = len(fractions)
    return [tuple(stages[i : i + count]) for i in range(0, len(stages), count)]


def _decay(plan: Plan, k: int) -> float:
    # a bridge starts at sigma = 0 from a state that is exactly 0
    return plan.sigma[k + 1] / plan.sigma[k] if plan.sigma[k] > 0 else 0.0


def _part(plan: Plan, k: int, stage: Stage, fraction: float) -> tuple[float, float]:
    """DDIM's weights of x and D from times[k] to a stage at this fraction of the step."""
    h = plan.log_snr[k + 1] - plan.log_snr[k]
    return stage.sigma / plan.sigma[k], -stage.alpha * math.expm1(-fraction * h)
