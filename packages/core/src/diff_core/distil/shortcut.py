r"""Shortcut models: a network that knows steps of every length, each half as long as the next.

One Step Diffusion via Shortcut Models (Frans et al., 2024). A `FlowMap` is trained to be the
velocity at length 0 (flow matching), and to do in one step what it does itself in two of half the
length, without a gradient through the two (self-consistency). Lengths are 1, 1/2, ..., 2/N and
begin at multiples of themselves; the halves of the shortest are steps along the velocity, of
length 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.distil.consistency import Distance, squared
from diff_core.distil.reflow import flow_weight
from diff_core.distil.rows import (
    as_flow_map,
    check_t_min,
    clean_target,
    draw_times,
    keep_teacher,
    normal,
    pick,
    subset,
    two_steps,
)
from diff_core.flow_map import FlowMap
from diff_core.forward import marginal
from diff_core.schedule import log_snr
from diff_core.train.objective import Weight

__all__ = ["Shortcut"]


@dataclass(frozen=True, eq=False)
class Shortcut:
    """The objective above, of a `FlowMap` on data or on a teacher's estimates of it.

    teacher:  kept as a copy, with its guidance if it has any; it gives the velocity in place of
        the data, and the shortest steps in place of the student
    steps:    N, a power of 2
    doubled:  share of rows that learn from two steps; the others learn the velocity
    weight:   w, a function of log-SNR at t; the default is the error of the velocity
    distance: d of the two estimates of x_0
    t_min:    least t of a velocity

    The batch is that of `Denoising`. Sample with `Ddim()` on `uniform` of 1, 2, 4, ... or N/2
    steps, or of many. Raises ValueError for another N, a share outside [0, 1], t_min outside
    [0, 1), or a denoiser that is no `FlowMap`.
    """

    teacher: Denoiser | None = None
    steps: int = 128
    doubled: float = 0.25
    weight: Weight = flow_weight
    distance: Distance = squared
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        if self.steps < 2 or self.steps & (self.steps - 1):
            raise ValueError(f"steps is {self.steps}; expected a power of 2, from 2 up")
        if not 0 <= self.doubled <= 1:
            raise ValueError(f"doubled is {self.doubled}; expected a share from 0 to 1")
        check_t_min(self.t_min)
        keep_teacher(self, self.teacher)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        student, x_0, cond = as_flow_map(denoiser), batch["x_0"], Condition.of(batch)
        count, schedule = len(x_0), denoiser.schedule
        doubled = torch.rand(count, generator=generator) < self.doubled
        plain = draw_times(None, schedule, count, self.t_min, generator)
        level = torch.randint(self.steps.bit_length() - 1, (count,), generator=generator)
        length = 2.0 ** -level.double()
        place = (torch.rand(count, generator=generator).double() / length).floor()
        t = torch.where(doubled, 1 - place * length, plain)
        s = torch.where(doubled, t - length, t)
        time = t.to(x_0)
        x_t = marginal(schedule, x_0, time, normal(x_0, generator))
        target = clean_target(self.teacher, denoiser, x_0, x_t, time, cond)
        rows = doubled.nonzero()[:, 0]
        if len(rows):
            parts = Condition.of(subset(batch, rows))
            target = target.clone()
            here = rows.to(x_t.device)
            target[here] = self._two_steps(student, x_t[here], t[rows], s[rows], parts)
        distance = self.distance(student.towards(x_t, time, s.to(x_0), cond), target)
        return self.weight(log_snr(schedule, t)).to(distance) * distance

    @torch.no_grad()
    def _two_steps(
        self, student: FlowMap, x_t: Tensor, t: Tensor, s: Tensor, cond: Condition
    ) -> Tensor:
        """The estimate of x_0 whose one step from t to s is two of the student's; times (B,)."""
        shortest = t - s < 3 / self.steps

        def ask(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
            time = start.to(x)
            told = student.towards(x, time, torch.where(shortest, start, end).to(x), cond)
            if self.teacher is None:
                return told
            return pick(shortest, self.teacher(x, time, cond), told)

        return two_steps(student.schedule, ask, x_t, t, 0.5 * (t + s), s)
