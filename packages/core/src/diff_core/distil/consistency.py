r"""Consistency distillation and training: a network that jumps to the end of the ODE at once.

Consistency Models (Song et al., 2023). The consistency function f(x_t, t) is the state at t = 0
of the probability-flow ODE through x_t: it is the same all along a trajectory, and f(x, 0) = x.
Between neighbours t > s of a grid the student f is regressed on itself one teacher's step on,

    L = E w(lambda_t) d( f(x_t, t), sg f_target(x_s, s) )                    (equation 7)

with x_s one step of an ODE solver with the teacher from x_t (equation 6, here Heun's or DDIM's),
and x_0 itself is the target at s = 0. Without a teacher (consistency training) its estimate of
x_0 is replaced by the clean x_0 of the data: DDIM's step is then alpha_s x_0 + sigma_s z with the
z that made x_t, which is equation 10.

The target is the student itself with gradients stopped (Improved Techniques for Training
Consistency Models, Song and Dhariwal, 2023, section 3.2), or, for a student inside `WithTarget`,
its running average (equation 8).

A consistency function goes by the name of `Denoiser`, although it is no posterior mean: sample it
with `diff_core.sample.Consistency`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser
from diff_core.distil.rows import follow, frozen, keep_teacher, normal, pick, placed
from diff_core.forward import marginal
from diff_core.grid import check_times
from diff_core.schedule import log_snr
from diff_core.train.objective import Weight, x0_weight

__all__ = ["ConsistencyDistillation", "Distance", "WithTarget", "pseudo_huber", "squared"]

Distance = Callable[[Tensor, Tensor], Tensor]
"""distance(x, y) of x and y (B, ...), a number for each row, (B,)."""


def squared(x: Tensor, y: Tensor) -> Tensor:
    """Mean of (x - y)^2 over a row's entries."""
    return (x - y).square().flatten(1).mean(1)


def pseudo_huber(c: float) -> Distance:
    """sqrt(|x - y|^2 + c^2) - c with |x - y|^2 a mean over entries: robust to outliers.

    Section 3.3 of Improved Techniques for Training Consistency Models (Song and Dhariwal, 2023),
    whose c = 0.00054 sqrt(D) for |.|^2 a sum over D entries is c = 0.00054 here.
    """
    return lambda x, y: (squared(x, y) + c * c).sqrt() - c


class WithTarget(Denoiser):
    """A student with its running average, the target of equation 8, beside it.

    For training: the average is part of the model and so of its checkpoints, and a resumed run
    goes on as if it had not stopped. Take `denoiser` out afterwards. Raises ValueError unless
    0 <= decay < 1.
    """

    def __init__(self, denoiser: Denoiser, decay: float = 0.95) -> None:
        super().__init__(denoiser.schedule)
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; expected 0 <= decay < 1")
        self.denoiser = denoiser
        self.target = frozen(denoiser)
        self.decay = decay
        self.config = {"denoiser": denoiser, "decay": decay}

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.denoiser(x_t, t, cond)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        return self.denoiser.on_grid(times, like, cond)

    @torch.no_grad()
    def update(self) -> None:
        """target <- decay target + (1 - decay) student."""
        pairs = zip(self.target.parameters(), self.denoiser.parameters(), strict=True)
        for average, new in pairs:
            average.lerp_(new, 1 - self.decay)


@dataclass(frozen=True, eq=False)
class ConsistencyDistillation:
    """The objective above, of a student on the data that the teacher was trained on.

    times:    (N + 1,), the grid, falling to 0; the student is asked at its first N times
    teacher:  kept as a copy, with its guidance if it has any; None is consistency training
    order:    of the teacher's step: 1 (DDIM, one call) or 2 (Heun's method, two calls)
    weight:   w, a function of log-SNR
    distance: d

    The batch is that of `Denoising`. Any parametrisation may be the student, but those in which
    f(x, 0) = x by construction (all but `FromX0`) learn it more easily; a copy of the teacher is
    the usual start. Raises ValueError for a grid that does not fall to 0, or another order.
    """

    times: Tensor
    teacher: Denoiser | None = None
    order: int = 2
    weight: Weight = x0_weight
    distance: Distance = squared

    def __post_init__(self) -> None:
        times = check_times(self.times)
        if times[-1] != 0:
            raise ValueError(f"times ends at {times[-1].item():g}; expected 0")
        if self.order not in (1, 2):
            raise ValueError(f"order is {self.order}; expected 1 (DDIM) or 2 (Heun)")
        object.__setattr__(self, "times", times)
        if self.teacher is not None:
            self.teacher.check(times[:-1])
        keep_teacher(self, self.teacher)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, cond = batch["x_0"], Condition.of(batch)
        k = torch.randint(len(self.times) - 1, (x_0.shape[0],), generator=generator)
        t, s = self.times[k], self.times[k + 1]
        z = normal(x_0, generator)
        x_t = marginal(denoiser.schedule, x_0, t.to(x_0), z)
        target = denoiser
        if isinstance(denoiser, WithTarget):
            target = denoiser.target
            if denoiser.training:
                denoiser.update()
        with torch.no_grad():
            if self.teacher is None:
                x_s = marginal(denoiser.schedule, x_0, s.to(x_0), z)
            else:
                teacher = placed(self.teacher, denoiser, x_0)
                x_s = follow(teacher, x_t, t, s, cond, order=self.order)
            end = pick(s == 0, x_s, target(x_s, s.to(x_0), cond))
        distance = self.distance(denoiser(x_t, t.to(x_0), cond), end)
        return self.weight(log_snr(denoiser.schedule, t)).to(distance) * distance
