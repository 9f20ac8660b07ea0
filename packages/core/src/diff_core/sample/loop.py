"""The sampling loop, and what a sampler is.

A sampler is a frozen dataclass. `plan` turns a schedule and a grid into plain Python floats, once
and in float64; `step` does tensor arithmetic with them. Nothing is kept in the sampler between
steps, so that one may serve many samplings at a time, and nothing on the way reads a value back
from the device. The loop is short on purpose: write your own around `plan` and `step` where you
need gradients through a sampling, or a stop half-way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from diff_core.coefficients import floats
from diff_core.condition import Condition, check_condition
from diff_core.denoiser import Denoise, Denoiser
from diff_core.grid import check_times
from diff_core.noise import Noise
from diff_core.schedule import Schedule, log_ratio
from diff_core.variance import DenoiseMoments

__all__ = ["Denoise", "Memory", "OnStep", "Plan", "Sampler", "levels", "sample"]

COLDEST = 0.05
"""Root mean square of a start, as a share of what it should be, below which it is a mistake."""

Memory = tuple[Tensor, ...]
"""What a multistep method carries from step to step; empty before the first."""

OnStep = Callable[[int, Tensor, Tensor], None]
"""on_step(k, x, x_0): after step k, x is the state at times[k + 1], x_0 the last estimate."""


@dataclass(frozen=True)
class Plan:
    """All the numbers of a sampling of K steps.

    `times`, `alpha`, `sigma` and `log_snr` have K + 1 entries, `coefficients` has K rows, whose
    meaning is the sampler's own. Step k goes from times[k] to times[k + 1]; a method that calls
    the denoiser at times in between names them in row k of `stages`.
    """

    times: tuple[float, ...]
    alpha: tuple[float, ...]
    sigma: tuple[float, ...]
    log_snr: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...] = ()
    stages: tuple[tuple[float, ...], ...] = ()

    @property
    def steps(self) -> int:
        return len(self.times) - 1

    @property
    def grid(self) -> tuple[float, ...]:
        """All times that a denoiser is called at: `times`, then the stages step by step."""
        return self.times + tuple(t for row in self.stages for t in row)

    @cached_property
    def stage(self) -> tuple[range, ...]:
        """Where in `grid` the stages of each of the K steps are; empty without stages."""
        found: list[range] = []
        first = len(self.times)
        for row in self.stages:
            found.append(range(first, first + len(row)))
            first += len(row)
        return tuple(found)


class Sampler(Protocol):
    """A frozen dataclass without hidden state.

    `order` is the order of convergence (weak order for a stochastic sampler) in the step size. A
    sampler to which only one value can belong has it as a class attribute.
    """

    @property
    def order(self) -> int: ...

    @property
    def stochastic(self) -> bool: ...

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """All coefficients of the walk down `times`; ValueError if `times` is not a grid."""
        ...

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        """State at times[k + 1] from the state x at times[k]."""
        ...


def sample(
    denoiser: Denoiser,
    sampler: Sampler,
    x: Tensor,
    times: Tensor,
    *,
    noise: Noise | None = None,
    cond: Condition | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Walk x (B, C, *S) from times[0] to times[-1] and return it there.

    times: (K + 1,), strictly decreasing in [0, 1] (see `grid`); x is a draw at times[0], such as
        sigma(1) z from `Noise` at k = -1. Where times[-1] is 0 all samplers but `TrigAdams` return
        the last estimate of x_0 itself.
    noise: needed by stochastic samplers only.
    on_step: called as on_step(k, x, x_0) after each of the K steps; it may raise to stop.

    Gradients are off; a denoiser that needs them inside (guidance) may turn them on for itself.
    Raises TypeError for an argument of another kind than above, and ValueError for a bad grid, a
    denoiser not defined on it, a schedule whose log-SNR does not rise along it, an x that does not
    hold real floating-point numbers, a missing `noise`, an estimate of another shape than x, or a
    result that is not finite (an accelerator is waited for once, for that, after the last step).
    Warns if x, on the CPU, has much less than the noise of times[0] in it.
    """
    _check_kinds(denoiser, sampler, x, noise, cond)
    if not x.is_floating_point() or x.ndim == 0:
        advice = "; give complex numbers as two channels" if x.is_complex() else ""
        raise ValueError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected real floating-point numbers "
            f"(B, ...){advice}"
        )
    if sampler.stochastic and noise is None:
        raise ValueError(f"noise is None; expected a source of noise for {sampler}")
    plan = sampler.plan(denoiser.schedule, times)
    grid = torch.tensor(plan.grid, dtype=torch.float64)
    denoiser.check(grid)
    _check_start(x, plan.sigma[0])
    estimate = x

    def seen(found: Tensor) -> Tensor:
        nonlocal estimate
        estimate = found
        if estimate.shape != x.shape:
            # broadcasting would hide it
            raise ValueError(
                f"the denoiser returned shape {tuple(estimate.shape)}; expected that of x, "
                f"{tuple(x.shape)}"
            )
        return estimate

    memory: Memory = ()
    with torch.no_grad():
        denoise = _watched(denoiser.on_grid(grid, x, cond), seen)
        for k in range(plan.steps):
            x, memory = sampler.step(denoise, x, k, plan, memory, noise)
            if on_step is not None:
                on_step(k, x, estimate)
    _check_result(x)
    return x


def _watched(bound: Denoise, seen: Callable[[Tensor], Tensor]) -> Denoise:
    """`bound` with each estimate passed through `seen`; it still gives variances if it did."""
    if not isinstance(bound, DenoiseMoments):
        return lambda x, k: seen(bound(x, k))

    def moments(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        mean, variance = bound.moments(x, k)
        return seen(mean), variance

    return DenoiseMoments(moments)


def _check_kinds(
    denoiser: object, sampler: object, x: object, noise: object, cond: object
) -> None:
    """Raise TypeError for an argument that is something else."""
    if isinstance(denoiser, type) or not hasattr(denoiser, "on_grid"):
        raise TypeError(
            f"denoiser is {_kind(denoiser)}; expected a Denoiser, such as "
            "FromV(network, schedule) of a network that predicts v"
        )
    if isinstance(sampler, type) or not hasattr(sampler, "plan"):
        raise TypeError(f"sampler is {_kind(sampler)}; expected a sampler, such as Ddim()")
    if not isinstance(x, Tensor):
        raise TypeError(f"x is {_kind(x)}; expected a tensor (B, ...)")
    if noise is not None and (isinstance(noise, type) or not callable(noise)):
        raise TypeError(f"noise is {_kind(noise)}; expected a source of noise, such as Keyed([0])")
    check_condition(cond)


def _kind(thing: object) -> str:
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return f"of type {type(thing).__name__}"


def _check_start(x: Tensor, sigma: float) -> None:
    """Warn of a start without the noise that it should have: 1 where sigma(1) is 80.

    A start of zeros, or a cooler one, is a choice: the temperature of a flow.
    """
    if x.device.type != "cpu" or x.numel() < 16 or torch.compiler.is_compiling():
        return
    size = x.detach().double().square().mean().sqrt().item()
    if 0 < size < COLDEST * sigma:
        warnings.warn(
            f"x has a root mean square of {size:.3g} where sigma(times[0]) is {sigma:.3g}; "
            "expected a draw at times[0], such as sigma(times[0]) times standard normal noise",
            stacklevel=3,
        )


def _check_result(x: Tensor) -> None:
    if torch.compiler.is_compiling() or bool(x.isfinite().all()):
        return
    bad = (~x.isfinite()).flatten(1) if x.ndim > 1 else ~x.isfinite()[:, None]
    rows = [row for row, count in enumerate(bad.sum(1).tolist()) if count]
    raise ValueError(
        f"the result has {int(bad.sum())} of {x.numel()} entries that are NaN or infinite, in "
        f"{len(rows)} of {len(x)} rows, the first {rows[0]}; expected finite ones: the denoiser "
        "returned such values, or a guidance pulls too hard for the steps"
    )


def levels(schedule: Schedule, times: Tensor) -> Plan:
    """A plan without coefficients: the schedule on a checked grid, in float64.

    Raises ValueError for a bad grid, or a schedule whose log-SNR does not rise along it.
    """
    times = check_times(times)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    plan = Plan(
        times=floats(times),
        alpha=floats(alpha),
        sigma=floats(sigma),
        log_snr=floats(log_ratio(alpha, sigma)),
    )
    for k, (here, after) in enumerate(zip(plan.log_snr, plan.log_snr[1:], strict=False)):
        if not here < after:
            raise ValueError(
                f"{schedule} has log-SNR {here} at t = {plan.times[k]} and {after} at t = "
                f"{plan.times[k + 1]}; expected a schedule whose log-SNR falls as t grows"
            )
    return plan
