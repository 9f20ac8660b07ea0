r"""One step of the teacher in which every row has times of its own, for all methods.

A sampler walks a whole batch down one grid; a batch for training holds rows at all times at once.
With r = sigma_s / sigma_t, DDIM's step from t to s < t is

    x_s = r x_t + (alpha_s - r alpha_t) D(x_t, t) ,

equation 12 of Denoising Diffusion Implicit Models (Song et al., 2021) without noise. The weights
depend on the times only and are found in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from diff_core.coefficients import broadcast
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.flow_map import FlowMap
from diff_core.schedule import Schedule, log_snr
from diff_core.train.times import Times

__all__ = [
    "as_flow_map",
    "check_t_min",
    "clean_target",
    "ddim_weights",
    "draw_times",
    "follow",
    "frozen",
    "keep_teacher",
    "normal",
    "pick",
    "placed",
    "subset",
    "two_steps",
    "weigh",
]

Module = TypeVar("Module", bound=nn.Module)


def frozen(module: Module) -> Module:
    """A copy in evaluation mode and without gradients, out of reach of the training."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def keep_teacher(objective: object, teacher: Denoiser | None) -> None:
    """Put a `frozen` copy in the place of the teacher of a frozen dataclass, if it has one."""
    if teacher is not None:
        object.__setattr__(objective, "teacher", frozen(teacher))


def check_t_min(t_min: float, *, zero: bool = True) -> None:
    """Raise ValueError unless 0 <= t_min < 1; without `zero`, unless 0 < t_min < 1."""
    if not 0 <= t_min < 1 or (t_min == 0 and not zero):
        raise ValueError(f"t_min is {t_min}; expected 0 {'<=' if zero else '<'} t_min < 1")


def placed(teacher: Denoiser, student: Denoiser, x: Tensor) -> Denoiser:
    """The teacher on the device of x. Raises ValueError if the student's schedule is another."""
    if student.schedule != teacher.schedule:
        raise ValueError(
            f"denoiser has schedule {student.schedule}; expected the teacher's, {teacher.schedule}"
        )
    return teacher.to(x.device)


def clean_target(
    teacher: Denoiser | None,
    student: Denoiser,
    x_0: Tensor,
    x_t: Tensor,
    t: Tensor,
    cond: Condition,
) -> Tensor:
    """E[x_0 | x_t] by the teacher, without gradients; without a teacher x_0, whose mean it is."""
    if teacher is None:
        return x_0
    with torch.no_grad():
        return placed(teacher, student, x_0)(x_t, t, cond)


def as_flow_map(denoiser: Denoiser) -> FlowMap:
    """The denoiser itself. Raises ValueError if it is no FlowMap."""
    if not isinstance(denoiser, FlowMap):
        raise ValueError(f"denoiser is a {type(denoiser).__name__}; expected a FlowMap")
    return denoiser


def draw_times(
    times: Times | None, schedule: Schedule, count: int, t_min: float, generator: torch.Generator
) -> Tensor:
    """Times (count,) from t_min to 1 of this density, uniform without one, float64 on the CPU."""
    uniform = torch.rand(count, generator=generator).double()
    if times is None:
        return t_min + (1 - t_min) * (1 - uniform)
    # `rand` may give 0, of which the inverse of a normal distribution is infinite
    return times(schedule, uniform.clamp(2**-25, 1 - 2**-25)).clamp(t_min, 1)


def subset(batch: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """The rows of every entry of a batch, by their numbers."""
    return {name: value[rows.to(value.device)] for name, value in batch.items()}


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


def two_steps(
    schedule: Schedule,
    ask: Callable[[Tensor, Tensor, Tensor], Tensor],
    x_t: Tensor,
    t: Tensor,
    m: Tensor,
    s: Tensor,
) -> Tensor:
    """The estimate of x_0 with which DDIM's step from t to s is its two steps over m.

    ask(x, start, end): the estimate for a step; all times are (B,), float64 on the CPU
    """
    ratio, level = ddim_weights(schedule, t, m)
    second_ratio, second_level = ddim_weights(schedule, m, s)
    share = second_level / (second_level + second_ratio * level)
    first = ask(x_t, t, m)
    x_m = weigh(ratio, x_t) + weigh(level, first)
    return first + weigh(share, ask(x_m, m, s) - first)
