r"""One step of the teacher in which every row has times of its own, for all methods.

A sampler walks a whole batch down one grid; a batch for training holds rows at all times at once.
With r = sigma_s / sigma_t, DDIM's step from t to s < t is

    x_s = r x_t + (alpha_s - r alpha_t) D(x_t, t) ,

equation 12 of Denoising Diffusion Implicit Models (Song et al., 2021) without noise. The weights
depend on the times only and are found in float64.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.schedule import Schedule, log_snr

__all__ = ["ddim_weights", "follow", "frozen", "normal", "pick", "placed", "weigh"]

Module = TypeVar("Module", bound=nn.Module)


def frozen(module: Module) -> Module:
    """A copy in evaluation mode and without gradients, out of reach of the training."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def placed(teacher: Denoiser, student: Denoiser, x: Tensor) -> Denoiser:
    """The teacher on the device of x. Raises ValueError if the student's schedule is another."""
    if student.schedule != teacher.schedule:
        raise ValueError(
            f"denoiser has schedule {student.schedule}; expected the teacher's, {teacher.schedule}"
        )
    return teacher.to(x.device)


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of the shape of `like`, drawn on the CPU and in float32."""
    return torch.randn(like.shape, generator=generator).to(like)


def ddim_weights(schedule: Schedule, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of x_t and of D in DDIM's step from t to s < t, of the shape of both times."""
    ratio = schedule.sigma(s) / schedule.sigma(t)
    return ratio, schedule.alpha(s) - ratio * schedule.alpha(t)


def follow(
    teacher: Denoiser,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    cond: Condition | None = None,
    *,
    order: int = 1,
) -> Tensor:
    """x_s from x_t (B, ...) in one step of the probability-flow ODE; t and s < t have shape (B,).

    Times are float64 on the CPU. Order 1 is DDIM; order 2 is Heun's method in sigma / alpha
    (`diff_core.sample.Heun`), which is DDIM where alpha(t) or sigma(s) is 0.
    """
    schedule = teacher.schedule
    ratio, level = ddim_weights(schedule, t, s)
    estimate = teacher(x_t, t.to(x_t), cond)
    moved = weigh(ratio, x_t) + weigh(level, estimate)
    if order == 1:
        return moved
    # (1 / q - 1) / 2 with q = (sigma_s / alpha_s) / (sigma_t / alpha_t)
    q = torch.exp(log_snr(schedule, t) - log_snr(schedule, s))
    corrector = torch.where(q > 0, schedule.alpha(s) * 0.5 * (1 / q - 1), 0.0)
    bend = weigh(corrector, teacher(moved, s.to(x_t), cond) - estimate)
    return pick(q > 0, moved + bend, moved)


def pick(rows: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """x where the row (B,) is True, y elsewhere; x and y (B, ...)."""
    return torch.where(broadcast(rows.to(x), x) > 0, x, y)


def weigh(weight: Tensor, x: Tensor) -> Tensor:
    """x (B, ...) with each row times its weight (B,)."""
    return broadcast(weight.to(x), x) * x
