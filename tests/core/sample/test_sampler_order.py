"""Order of convergence of every sampler, against exact flows and exact variances."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core import (
    Cosine,
    Edm,
    RectifiedFlow,
    Schedule,
    SchroedingerBridge,
    VariancePreserving,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.sample import (
    DpmSolverPP3M,
    Sampler,
    UniPC,
    sample,
)
from sampler_cases import (
    MIXTURE,
    SDE,
    each_ode,
    slopes,
    smooth,
    tensor,
)


@each_ode
@pytest.mark.parametrize(
    # that the same log-SNR gives the same walk on every schedule is tested in test_samplers.py
    "schedule",
    [VariancePreserving(), RectifiedFlow()],
    ids=lambda s: type(s).__name__,
)
def test_order_against_the_exact_flow(sampler: Sampler, schedule: Schedule) -> None:
    start, stop = (schedule.time(tensor(level)) for level in (-2.5, 3.0))
    base = schedule.sigma(start) * torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    exact = MIXTURE.flow(schedule, base, start, stop)
    denoiser = ExactDenoiser(MIXTURE, schedule)
    errors: list[float] = []
    for steps in (64, 128, 256):
        times = uniform_log_snr(schedule, steps, start.item(), stop.item())
        got = sample(denoiser, sampler, base, times)
        errors.append((got - exact).square().mean().sqrt().item())
    assert errors[-1] > 1e-11
    assert all(abs(slope - sampler.order) < 0.2 for slope in slopes(errors)), (
        errors,
        slopes(errors),
    )


@pytest.mark.filterwarnings("ignore:x has a root mean square")  # unit vectors are no draws
@pytest.mark.parametrize("sampler", SDE, ids=repr)
@pytest.mark.parametrize("schedule", [VariancePreserving(), Edm(sigma_max=10)], ids=repr)
def test_weak_order_on_a_gaussian_without_sampling(sampler: Sampler, schedule: Schedule) -> None:
    # every sampler is affine on a Gaussian: with unit vectors as noise, row 0 carries the start
    # and each other row one of the noises, so that the variance of the output is a sum of squares
    gaussian = Gaussian(tensor([0.0]), tensor([0.25]))
    denoiser = ExactDenoiser(gaussian, schedule)
    start, stop = (schedule.time(tensor(level)) for level in (-2.0, 2.0))

    def variance_at(t: Tensor) -> float:
        return (schedule.alpha(t) ** 2 * 0.25 + schedule.sigma(t) ** 2).item()

    errors: list[float] = []
    for steps in (128, 256, 512):
        x = torch.zeros(3 * steps + 1, 1, dtype=torch.float64)
        x[0] = math.sqrt(variance_at(start))
        rows: dict[int, int] = {}

        def unit(k: int, like: Tensor, rows: dict[int, int] = rows) -> Tensor:
            noise = torch.zeros_like(like)
            noise[rows.setdefault(k, len(rows) + 1)] = 1
            return noise

        times = uniform_log_snr(schedule, steps, start.item(), stop.item())
        got = sample(denoiser, sampler, x, times, noise=unit).square().sum().item()
        errors.append(abs(got - variance_at(stop)))
    assert all(abs(slope - sampler.order) < 0.2 for slope in slopes(errors)), (
        errors,
        slopes(errors),
    )


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("schedule", [Cosine(), SchroedingerBridge()], ids=repr)
def test_order_is_kept_after_an_infinite_first_step(schedule: Schedule, order: int) -> None:
    # the first step, from alpha = 0, is always to the same time; then the start-up begins
    sampler = DpmSolverPP3M() if order == 3 else UniPC(p=3)
    denoiser = smooth(schedule)
    bridge = isinstance(schedule, SchroedingerBridge)
    x = (
        torch.zeros(1, 1, 5, dtype=torch.float64)
        if bridge
        else torch.linspace(-2, 2, 5, dtype=torch.float64).reshape(1, 1, 5)
    )
    walks: list[Tensor] = []
    for steps in (16, 32, 64, 128):
        times = torch.cat([tensor([1.0]), uniform_log_snr(schedule, steps, 0.9, 0.1)])
        walks.append(sample(denoiser, sampler, x, times))
    gaps = [(a - b).abs().max().item() for a, b in zip(walks, walks[1:], strict=False)]
    slopes = [math.log2(a / b) for a, b in zip(gaps, gaps[1:], strict=False)]
    assert all(abs(slope - order) < 0.35 for slope in slopes), slopes
