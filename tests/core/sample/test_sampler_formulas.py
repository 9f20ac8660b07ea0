"""Samplers one by one: the papers' formulas, and their limits."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from diff_core import (
    Condition,
    Edm,
    FromFlow,
    FromX0,
    Keyed,
    RectifiedFlow,
    Schedule,
    uniform,
)
from diff_core.sample import (
    Ancestral,
    Consistency,
    Ddim,
    DpmSolverPP2M,
    DpmSolverPP3M,
    Euler,
    Heun,
    HeunChurn,
    Kutta3,
    Midpoint,
    PredictorCorrector,
    Sampler,
    sample,
)
from sampler_cases import (
    MIXTURE,
    ONE,
    ZERO,
    Function,
    Wave,
    smooth,
    tensor,
)


def test_ancestral_equals_ddim_of_eta_one(schedule: Schedule) -> None:
    times = uniform(7)
    assert Ancestral().plan(schedule, times) == Ddim(eta=1.0).plan(schedule, times)
    assert Ancestral(temperature=0).plan(schedule, times) != Ddim().plan(schedule, times)


def test_ancestral_step_is_the_conditional_of_the_joint_gaussian(schedule: Schedule) -> None:
    # x_s and x_t given x_0 are jointly Gaussian: Cov(x_s, x_t) = (alpha_t / alpha_s) sigma_s^2
    times = tensor([0.8, 0.3])
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    plan = Ancestral(temperature=0.5).plan(schedule, times)
    covariance = alpha[0] / alpha[1] * sigma[1] ** 2
    gain = covariance / sigma[0] ** 2
    variance = sigma[1] ** 2 - gain * covariance
    expected = [gain, alpha[1] - gain * alpha[0], 0.5 * variance.sqrt()]
    assert plan.coefficients[0] == pytest.approx([value.item() for value in expected], rel=1e-9)


def test_euler_is_ddim(schedule: Schedule) -> None:
    x = schedule.sigma(ONE) * torch.randn(2, 1, 8, dtype=torch.float64)
    denoiser = FromX0(Wave(), schedule)
    torch.testing.assert_close(
        sample(denoiser, Euler(), x, uniform(9)), sample(denoiser, Ddim(), x, uniform(9))
    )


def test_midpoint_and_kutta_are_their_tableaus_on_rectified_flow() -> None:
    """The textbook's steps of dx/dt = u(x, t), where the network predicts u itself."""
    times = tensor([0.9, 0.6, 0.2])

    def u(x: Tensor, t: Tensor) -> Tensor:
        return x.sin() * (1 + t) + t

    def midpoint(x: Tensor, t: Tensor, h: Tensor) -> Tensor:
        return x + h * u(x + h / 2 * u(x, t), t + h / 2)

    def kutta(x: Tensor, t: Tensor, h: Tensor) -> Tensor:
        first = u(x, t)
        second = u(x + h / 2 * first, t + h / 2)
        third = u(x - h * first + 2 * h * second, t + h)
        return x + h / 6 * (first + 4 * second + third)

    class Network(torch.nn.Module):
        def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
            return u(x, time.reshape(-1, 1, 1))

    denoiser = FromFlow(Network(), RectifiedFlow())
    x = torch.randn(2, 1, 8, dtype=torch.float64)
    for sampler, method in ((Midpoint(), midpoint), (Kutta3(), kutta)):
        expected = x
        for t, s in itertools.pairwise(times):
            expected = method(expected, t, s - t)
        torch.testing.assert_close(sample(denoiser, sampler, x, times), expected)


def test_heun_is_the_trapezoidal_rule_of_the_paper(path: Schedule) -> None:
    # Karras et al., algorithm 1, in y = x / alpha and rho = sigma / alpha
    s, e = tensor([0.7, 0.4])
    denoiser = FromX0(Wave(), path)
    x = path.sigma(s) * torch.randn(2, 1, 8, dtype=torch.float64)

    def slope(y: Tensor, t: Tensor) -> Tensor:
        estimate = denoiser(y * path.alpha(t), t)
        return (y - estimate) * path.alpha(t) / path.sigma(t)

    rho = path.sigma(torch.stack([s, e])) / path.alpha(torch.stack([s, e]))
    y, step = x / path.alpha(s), rho[1] - rho[0]
    first = slope(y, s)
    second = slope(y + step * first, e)
    expected = path.alpha(e) * (y + step * (first + second) / 2)
    got = sample(denoiser, Heun(), x, torch.stack([s, e]))
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("limit", "plain"),
    [
        (HeunChurn(s_churn=0), Heun()),
        (HeunChurn(s_min=1e6), Heun()),
        (PredictorCorrector(predictor=DpmSolverPP3M(), strength=0), DpmSolverPP3M()),
        (PredictorCorrector(predictor=Ancestral(), strength=0), Ancestral()),
        (DpmSolverPP2M(eta=1e-20), DpmSolverPP2M()),
        (DpmSolverPP3M(eta=1e-20), DpmSolverPP3M()),
        (Ddim(eta=1e-10), Ddim()),
        (Ancestral(temperature=1e-18), Ancestral(temperature=0)),
    ],
    ids=repr,
)
def test_limits_without_noise(limit: Sampler, plain: Sampler, path: Schedule) -> None:
    noise = Keyed([1, 2])
    times = uniform(8, start=0.95)
    x = path.sigma(times[0]) * torch.randn(2, 1, 8, dtype=torch.float64)
    got = sample(smooth(path), limit, x, times, noise=noise)
    expected = sample(smooth(path), plain, x, times, noise=noise)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


def test_two_m_sde_of_one_step_is_ancestral(schedule: Schedule) -> None:
    # with D constant over the step, eta = 1 is the reverse SDE exactly: q(x_s | x_t, x_0 = D)
    times = tensor([0.8, 0.3])
    spread, *row = DpmSolverPP3M(eta=1.0).plan(schedule, tensor([0.8, 0.3, 0.0])).coefficients[1]
    assert spread == 0 and row == [0, 1]
    weight, level, _, spread = DpmSolverPP2M(eta=1.0).plan(schedule, times).coefficients[0]
    expected = Ancestral().plan(schedule, times).coefficients[0]
    assert [weight, level, spread] == pytest.approx(expected, rel=1e-9)


def test_churn_is_algorithm_2(path: Schedule) -> None:
    # Karras et al. in y = x / alpha and rho, with S_noise and the window of levels
    times = uniform(6, start=0.9)
    denoiser, noise = smooth(path), Keyed([7])
    sampler = HeunChurn(s_churn=1.5, s_min=0.2, s_max=30.0, s_noise=1.1)
    x = path.sigma(times[0]) * torch.randn(1, 1, 8, dtype=torch.float64)
    rho = path.sigma(times) / path.alpha(times)
    greatest = (path.sigma(ONE) / path.alpha(ONE)).item()
    y = x / path.alpha(times[0])
    raised = 0
    for k in range(6):
        here, after = rho[k], rho[k + 1]
        if 0.2 <= here <= 30.0 and here * 1.25 < greatest:
            raised += 1
            higher = here * 1.25
            y = y + (higher**2 - here**2).sqrt() * 1.1 * noise(k, y)
            here = higher
        t = path.time(-here.log())
        slope = (y - denoiser(path.alpha(t) * y, t)) / here
        end = y + (after - here) * slope
        if after > 0:
            t = times[k + 1]
            other = (end - denoiser(path.alpha(t) * end, t)) / after
            end = y + (after - here) * (slope + other) / 2
        y = end
    assert raised >= 2
    got = sample(denoiser, sampler, x, times, noise=noise)
    torch.testing.assert_close(got, y, rtol=1e-7, atol=1e-7)


def test_churn_does_not_leave_the_schedule() -> None:
    schedule = Edm(sigma_max=10)
    plan = HeunChurn().plan(schedule, uniform(4))
    assert plan.stages[0] == (1.0,) and plan.coefficients[0][:2] == (1.0, 0.0)
    assert all(t <= 1 for t in plan.grid)


def test_langevin_keeps_a_certain_signals_marginal(path: Schedule) -> None:
    # for a known x_0 the corrector's linear part is all of it: x_s stays N(alpha x_0, sigma^2)
    x_0, times = tensor([[0.7]]), uniform(4, start=0.9)[:-1]
    sampler = PredictorCorrector(corrections=2, strength=0.4)
    rows: dict[int, int] = {}

    def unit(k: int, like: Tensor) -> Tensor:
        noise = torch.zeros_like(like)
        noise[rows.setdefault(k, len(rows) + 1)] = 1
        return noise

    x = torch.zeros(8, 1, dtype=torch.float64)
    x[0] = path.sigma(times[0])
    denoiser = Function(path, lambda x, t: torch.zeros_like(x))
    got = sample(denoiser, sampler, x, times, noise=unit)
    assert len(rows) == 6
    torch.testing.assert_close(got.square().sum().sqrt(), path.sigma(times[-1]))
    mean = path.alpha(times[0]) * x_0
    got = sample(
        Function(path, lambda x, t: x_0),
        sampler,
        mean,
        times,
        noise=lambda k, like: torch.zeros_like(like),
    )
    torch.testing.assert_close(got, path.alpha(times[-1]) * x_0)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_consistency_sampling_is_exact_with_the_consistency_function(steps: int) -> None:
    # the function maps quantile to quantile: at every stop the state is the flow of its own noise
    path = RectifiedFlow()
    denoiser = Function(path, lambda x, t: MIXTURE.flow(path, x, t.double(), ZERO))
    times, noise = uniform(steps), Keyed(range(5))
    x = noise(-1, torch.empty(5, 1, dtype=torch.float64))
    states: list[Tensor] = []
    got = sample(
        denoiser, Consistency(), x, times, noise=noise, on_step=lambda k, x, _: states.append(x)
    )
    expected = MIXTURE.flow(path, x, ONE, ZERO)
    for k in range(steps - 1):
        noisy = path.alpha(times[k + 1]) * expected + path.sigma(times[k + 1]) * noise(k, x)
        torch.testing.assert_close(states[k], noisy)
        expected = MIXTURE.flow(path, noisy, times[k + 1], ZERO)
    torch.testing.assert_close(got, expected)
