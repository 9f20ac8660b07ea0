"""What the methods of order 2 and more share: one step as linear combinations, and first steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from diff_core.sample.loop import Denoise, Memory, Plan
from diff_core.schedule import Schedule, floats

__all__ = ["advance", "combine", "one_call", "past", "stage_times", "three_calls", "two_calls"]


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
    """How many grid points just before k have a finite log-SNR: those a polynomial may go through.

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


def two_calls(plan: Plan, k: int, schedule: Schedule) -> tuple[tuple[float, ...], tuple[float]]:
    """The row and the stage of DPM-Solver++(2S) with r = 1/2: order 2.

    D in the middle of the step (in log-SNR) stands for all of it.
    """
    (time,) = stage_times(plan, k, schedule, (0.5,))
    first = _part(plan, k, schedule, time, 0.5)
    return (*first, _decay(plan, k), 0.0, one_call(plan, k)[1]), (time,)


def three_calls(
    plan: Plan, k: int, schedule: Schedule
) -> tuple[tuple[float, ...], tuple[float, float]]:
    """The row and the stages of DPM-Solver++(3S) with r = 1/3, 2/3: order 3.

    With D_1 at 1/3 and D_2 at 2/3 of the step h, D's slope is taken as (D_1 - D) / (h / 3) for
    the second stage and as (D_2 - D) / (2 h / 3) for the end.
    """
    h = plan.log_snr[k + 1] - plan.log_snr[k]
    third, two_thirds = stage_times(plan, k, schedule, (1 / 3, 2 / 3))
    decay, level = _part(plan, k, schedule, two_thirds, 2 / 3)
    alpha = level / -math.expm1(-2 * h / 3)
    # int_0^a e^-(a - u) u du = a - (1 - e^-a), for slopes per unit of log-SNR
    bend = (alpha * (2 * h / 3) - level) / (h / 3)
    end_decay, end_level = one_call(plan, k)
    end_bend = (plan.alpha[k + 1] * h - end_level) / (2 * h / 3)
    row = (
        *_part(plan, k, schedule, third, 1 / 3),
        *(decay, level - bend, bend),
        *(end_decay, end_level - end_bend, 0.0, end_bend),
    )
    return row, (third, two_thirds)


def stage_times(
    plan: Plan, k: int, schedule: Schedule, fractions: Sequence[float]
) -> tuple[float, ...]:
    """Times at these fractions of step k, counted in log-SNR."""
    start, h = plan.log_snr[k], plan.log_snr[k + 1] - plan.log_snr[k]
    levels = torch.tensor([start + part * h for part in fractions], dtype=torch.float64)
    return floats(schedule.time(levels))


def _decay(plan: Plan, k: int) -> float:
    # a bridge starts at sigma = 0 from a state that is exactly 0
    return plan.sigma[k + 1] / plan.sigma[k] if plan.sigma[k] > 0 else 0.0


def _part(
    plan: Plan, k: int, schedule: Schedule, time: float, fraction: float
) -> tuple[float, float]:
    """DDIM's weights of x and D from times[k] to `time`, at this fraction of the step."""
    t = torch.tensor(time, dtype=torch.float64)
    alpha, sigma = schedule.alpha(t).item(), schedule.sigma(t).item()
    h = plan.log_snr[k + 1] - plan.log_snr[k]
    return sigma / plan.sigma[k], -alpha * math.expm1(-fraction * h)
