"""Adams' method in the angle between signal and noise: what it is exact for, and its two ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diff_core import Cosine, RectifiedFlow, Schedule, VariancePreserving, uniform, uniform_flow
from diff_core.bridge import SchroedingerBridge
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.sample import Ddim, TrigAdams, sample
from sampler_cases import MIXTURE, ONE, ZERO, Function, slopes, tensor

SPREAD = 0.7


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("steps", [2, 3, 6])
def test_exact_on_gaussian_data_of_the_stated_deviation(
    path: Schedule, order: int, steps: int
) -> None:
    gaussian = Gaussian(ZERO.reshape(1), tensor([SPREAD**2]))
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None] * path.sigma(ONE)
    got = sample(ExactDenoiser(gaussian, path), TrigAdams(order, SPREAD), x, uniform(steps))
    expected = gaussian.flow(path, x, ONE, ZERO)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


WAVES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], int]] = {
    # v(theta), z(theta), and the order from which on it is integrated exactly
    "cos": (torch.cos, torch.sin, 2),
    "sin": (torch.sin, lambda theta: -torch.cos(theta), 2),
    "constant": (torch.ones_like, lambda theta: theta, 3),
    "cos 2": (lambda theta: torch.cos(2 * theta), lambda theta: torch.sin(2 * theta) / 2, 4),
}


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("wave", WAVES)
def test_exact_on_trigonometric_polynomials(path: Schedule, order: int, wave: str) -> None:
    # v a function of the angle alone, from a start with exact values: up to sigma = 0
    rate, state, exact_from = WAVES[wave]
    times = torch.cat([path.time(tensor([-1.3, -1.0, -0.3, 0.2, 1.0])), tensor([0.0])])
    alpha, sigma = path.alpha(times) * SPREAD, path.sigma(times)
    angle, norm = torch.atan2(sigma, alpha), torch.hypot(sigma, alpha)
    plan = TrigAdams(order, SPREAD).plan(path, times)
    assert plan.coefficients[-1][-order - 1 :][0] == pytest.approx((norm[-1] / norm[-2]).item())

    def at(k: int, of: Callable[[Tensor], Tensor]) -> Tensor:
        return of(angle[k]).reshape(1, 1)

    def denoise(x: Tensor, k: int) -> Tensor:
        # the D that has this v: v = cos eps - sin D / s_d with eps = (z - cos D / s_d) / sin
        cos, sin = angle[k].cos(), angle[k].sin()
        return SPREAD * (cos * x / norm[k] - sin * at(k, rate))

    first = 3
    x = norm[first] * at(first, state)
    memory = (norm[first - 1] * at(first - 1, state), at(first - 1, rate), at(first - 2, rate))
    sampler = TrigAdams(order, SPREAD)
    for k in range(first, plan.steps):
        x, memory = sampler.step(denoise, x, k, plan, memory[: order + 1], None)
    error = (x - norm[-1] * at(-1, state)).abs().item()
    assert error < 1e-12 if order >= exact_from else error > 1e-5


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("schedule", [VariancePreserving(), RectifiedFlow()], ids=repr)
def test_order_is_kept_from_pure_noise_to_clean(schedule: Schedule, order: int) -> None:
    # the others are of order 1 in a step to sigma = 0, and from alpha = 0
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    denoiser, exact = ExactDenoiser(MIXTURE, schedule), MIXTURE.flow(schedule, x, ONE, ZERO)
    errors: list[float] = []
    for steps in (64, 128, 256, 512):
        times = uniform_flow(schedule, steps, middle=0.3)
        got = sample(denoiser, TrigAdams(order, sigma_data=0.9), x, times)
        errors.append((got - exact).square().mean().sqrt().item())
    assert all(abs(slope - order) < 0.3 for slope in slopes(errors)), (errors, slopes(errors))


def test_steps_that_have_no_history_are_ddim() -> None:
    x = torch.randn(2, 1, 8, dtype=torch.float64)
    for schedule in (Cosine(), VariancePreserving(), SchroedingerBridge()):
        denoiser = Function(schedule, lambda x, t: torch.tanh(x + 0.1))
        bridge = isinstance(schedule, SchroedingerBridge)
        start = torch.zeros_like(x) if bridge else x
        for times in (tensor([1.0, 0.0]), tensor([0.8, 0.0])):
            got = sample(denoiser, TrigAdams(), start, times)
            torch.testing.assert_close(got, sample(denoiser, Ddim(), start, times))
        if bridge:
            row = TrigAdams().plan(schedule, uniform(4)).coefficients[0]
            assert row == (
                0,
                0,
                0,
                0,
                0,
                0,
                *Ddim().plan(schedule, uniform(4)).coefficients[0][:2],
            )
