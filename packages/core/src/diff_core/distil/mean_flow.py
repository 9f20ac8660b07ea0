r"""MeanFlow: a network that knows the mean velocity between any two times.

Mean Flows for One-step Generative Modeling (Geng et al., 2025): the mean velocity u(z_t, t, s) of
the ODE dz/dtau = v is tied to v by

    v = u + (tau_t - tau_s) du/dtau ,

with the derivative along the ODE (the MeanFlow identity). In the improved form (Improved Mean
Flows: On the Challenges of Fastforward Generative Models, Geng et al., 2025) the right-hand side
is a prediction V of the velocity, and the loss is that of flow matching, |V - (eps - x_0)|^2: its
target holds nothing of the network. The derivative is taken along the network's own velocity
u(z_t, t, t) and has no gradient.

Here u = (z - F) / tau of a `FlowMap` F, so that V is the estimate

    F + (1 - tau_s / tau_t) (D - F + tau_t dF/dtau)

of x_0, on any schedule: D = F(x_t, t, t), or the teacher's estimate, which is then the target too.
Rows with s = t are those of flow matching.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
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
    subset,
)
from diff_core.distil.tangent import along, flow_time
from diff_core.flow_map import FlowMap
from diff_core.forward import marginal
from diff_core.schedule import log_snr
from diff_core.train.objective import Weight
from diff_core.train.times import Times

__all__ = ["MeanFlow"]


@dataclass(frozen=True, eq=False)
class MeanFlow:
    """The objective above, of a `FlowMap` on data or on a teacher's estimates of it.

    teacher:  kept as a copy, with its guidance if it has any; None learns from the data alone
    same:     share of rows with s = t
    weight:   w, a function of log-SNR at t; the default is the error of the velocity
    distance: d of the two estimates; another than `squared` moves the fixed point if there is no
        teacher, for then the target is noisy
    t_min:    least t
    times:    density of both times, of which t is the later; None is uniform

    The batch is that of `Denoising`. Sample with `Ddim()` in any number of steps. The network must
    have forward derivatives, as those of `diff_core.nn` have. Raises ValueError unless
    0 <= same <= 1 and 0 < t_min < 1, or for a denoiser that is no `FlowMap`.
    """

    teacher: Denoiser | None = None
    same: float = 0.5
    weight: Weight = flow_weight
    distance: Distance = squared
    t_min: float = 1e-3
    times: Times | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.same <= 1:
            raise ValueError(f"same is {self.same}; expected a share from 0 to 1")
        check_t_min(self.t_min, zero=False)
        keep_teacher(self, self.teacher)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        student, x_0, cond = as_flow_map(denoiser), batch["x_0"], Condition.of(batch)
        count, schedule = len(x_0), denoiser.schedule
        first, second = (
            draw_times(self.times, schedule, count, self.t_min, generator) for _ in range(2)
        )
        alike = torch.rand(count, generator=generator) < self.same
        t = torch.maximum(first, second)
        s = torch.where(alike, t, torch.minimum(first, second)).to(x_0)
        t = t.to(x_0)
        x_t = marginal(schedule, x_0, t, normal(x_0, generator))
        target = clean_target(self.teacher, denoiser, x_0, x_t, t, cond)
        estimate = student.towards(x_t, t, s, cond)
        rows = (s < t).nonzero()[:, 0]
        shift = torch.zeros_like(estimate)
        if len(rows):
            parts = subset(batch, rows)
            known = None if self.teacher is None else target[rows]
            shift[rows] = self._shift(student, x_t[rows], t[rows], s[rows], parts, known)
        distance = self.distance(estimate + shift, target)
        return self.weight(log_snr(schedule, t)).to(distance) * distance

    def _shift(
        self,
        student: FlowMap,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        batch: dict[str, Tensor],
        known: Tensor | None,
    ) -> Tensor:
        """(1 - tau_s / tau_t) (D - F + tau_t dF/dtau), without a gradient."""
        schedule, cond = student.schedule, Condition.of(batch)
        with torch.no_grad():
            velocity = student(x_t, t, cond) if known is None else known
        value, change = along(
            lambda x, time: student.towards(x, time, s, cond), schedule, x_t, t, velocity
        )
        tau, end = flow_time(schedule, t), flow_time(schedule, s)
        bend = velocity - value + broadcast(tau, x_t) * change
        return broadcast(1 - end / tau, x_t) * bend
