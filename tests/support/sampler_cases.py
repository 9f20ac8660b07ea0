"""All samplers, and denoisers with known answers to try them on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from diff_core import Condition, Denoiser, Schedule, log_snr
from diff_core.exact import Mixture
from diff_core.sample import (
    Ancestral,
    Consistency,
    Ddim,
    Deis,
    Dpm2,
    DpmSolverPP2M,
    DpmSolverPP2S,
    DpmSolverPP3M,
    DpmSolverPP3S,
    Euler,
    Heun,
    HeunChurn,
    Kutta3,
    Lms,
    Midpoint,
    PredictorCorrector,
    Sampler,
    TrigAdams,
    UniPC,
)

ODE: list[Sampler] = [
    Ddim(),
    Euler(),
    Heun(),
    Dpm2(),
    Midpoint(),
    Kutta3(),
    DpmSolverPP2S(),
    DpmSolverPP3S(),
    DpmSolverPP2M(),
    DpmSolverPP2M(correction="heun"),
    DpmSolverPP3M(),
    Deis(order=2),
    Deis(order=3),
    Lms(order=2),
    Lms(order=3),
    Lms(order=4),
    UniPC(p=2),
    UniPC(p=2, correction="midpoint"),
    UniPC(p=3),
    UniPC(p=3, correction="midpoint"),
    TrigAdams(order=2),
    TrigAdams(order=3),
]
SDE: list[Sampler] = [
    Ancestral(),
    Ddim(eta=1.0),
    Ddim(eta=0.6),
    DpmSolverPP2M(eta=1.0),
    DpmSolverPP2M(correction="heun", eta=0.5),
    DpmSolverPP3M(eta=1.0),
    HeunChurn(s_churn=5.0),
    PredictorCorrector(),
    PredictorCorrector(predictor=Ancestral(), corrections=2),
]
ALL: list[Sampler] = [*ODE, *SDE, Ancestral(temperature=0.7), HeunChurn(), Consistency()]
each_ode = pytest.mark.parametrize("sampler", ODE, ids=repr)
each = pytest.mark.parametrize("sampler", ALL, ids=repr)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


MIXTURE = Mixture(tensor([0.3, 0.7]), tensor([-1.0, 0.8]), tensor([0.3, 0.4]))
ONE, ZERO = tensor(1.0), tensor(0.0)


class Function(Denoiser):
    """A denoiser from a plain function of x and t."""

    def __init__(self, schedule: Schedule, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(schedule)
        self.function = function

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.function(x_t, t)


def smooth(schedule: Schedule) -> Function:
    """A denoiser that mixes x and the log-SNR and is bounded."""
    return Function(
        schedule,
        lambda x, t: torch.tanh(x + torch.tanh(log_snr(schedule, t)).reshape(-1, *(1,) * 2)),
    )


class Wave(nn.Module):
    """A smooth network that mixes x and time."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return torch.tanh(x) * 0.9 + torch.sin(3 * time).reshape(-1, *(1,) * (x.ndim - 1)) * 0.1


def slopes(errors: list[float]) -> list[float]:
    """Order of convergence in each halving of the step."""
    return [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
