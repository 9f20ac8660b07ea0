r"""Consistency in continuous time: no grid, and no error of a solver.

Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models (Lu and Song, 2024). The
consistency function f(x_t, t) does not change along the ODE. Its derivative along it is the
gradient's direction: with g = df/dtau in flow time, the loss

    | f - sg(f - tau g) |^2 / tau^2

has the value |g|^2 and the gradient of the paper's objective, here with flow time in place of its
angle. Before that g is divided by |g| + c, c = 0.1 (tangent normalisation), which keeps the rare
large ones from undoing the others. The paper's adaptive weight and warm-up are left out.

With a teacher the ODE is the teacher's (distillation, sCD). Without one its estimate of x_0 is
replaced by the clean x_0 of the data (training, sCT), of which the mean over the data is the same
as long as g is not normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.distil.consistency import squared
from diff_core.distil.reflow import flow_weight
from diff_core.distil.rows import check_t_min, clean_target, draw_times, keep_teacher, normal
from diff_core.distil.tangent import along, flow_time
from diff_core.forward import marginal
from diff_core.schedule import log_snr
from diff_core.train.objective import Weight
from diff_core.train.times import Times

__all__ = ["ContinuousConsistency"]


@dataclass(frozen=True, eq=False)
class ContinuousConsistency:
    """The objective above, of a student on the data that the teacher was trained on.

    teacher: kept as a copy, with its guidance if it has any; None is consistency training
    limit:   c, in the root mean square over a row's entries; None leaves g as it is
    weight:  w, a function of log-SNR; the default is the 1 / tau^2 above
    t_min:   least t
    times:   density of t; None is uniform

    The batch is that of `Denoising`. Sample with `Consistency()`. The student is a denoiser in
    which f(x, 0) = x by construction (all but `FromX0`), and a copy of the teacher is the usual
    start; its network must have forward derivatives, as those of `diff_core.nn` have, and should
    be smooth in time. Raises ValueError unless limit > 0 and 0 < t_min < 1.
    """

    teacher: Denoiser | None = None
    limit: float | None = 0.1
    weight: Weight = flow_weight
    t_min: float = 1e-3
    times: Times | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not self.limit > 0:
            raise ValueError(f"limit is {self.limit}; expected a number above 0, or None")
        check_t_min(self.t_min, zero=False)
        keep_teacher(self, self.teacher)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, cond, schedule = batch["x_0"], Condition.of(batch), denoiser.schedule
        t = draw_times(self.times, schedule, len(x_0), self.t_min, generator).to(x_0)
        x_t = marginal(schedule, x_0, t, normal(x_0, generator))
        estimate = clean_target(self.teacher, denoiser, x_0, x_t, t, cond)
        # in training model(...) is narrowed, or compiled; neither has a forward derivative
        forward = type(denoiser).forward
        _, change = along(
            lambda x, time: forward(denoiser, x, time, cond), schedule, x_t, t, estimate
        )
        if self.limit is not None:
            size = change.square().flatten(1).mean(1).sqrt()
            change = change / broadcast(size + self.limit, x_t)
        end = denoiser(x_t, t, cond)
        target = end.detach() - broadcast(flow_time(schedule, t), x_t) * change
        distance = squared(end, target)
        return self.weight(log_snr(schedule, t)).to(distance) * distance
