"""Multistep samplers are exact where the denoiser is a polynomial in their own variable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core import (
    Denoiser,
    Schedule,
    log_snr,
    uniform_log_snr,
)
from diff_core.sample import (
    Deis,
    DpmSolverPP2M,
    DpmSolverPP3M,
    Lms,
    Memory,
    Sampler,
    UniPC,
    sample,
)
from diff_core.sample.polynomial import falling_moments, rising_moments, weights
from sampler_cases import (
    Function,
    tensor,
)


@pytest.mark.parametrize("z", [1e-6, 0.03, 0.999, 1.0, 7.0, 60.0])
def test_moments_are_the_integrals(z: float) -> None:
    # Gauss-Legendre on pieces short enough for the exponential
    node, weight = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0, 1, 65)
    half = np.diff(edges)[:, None] / 2
    v = (edges[:-1, None] + half + half * node).ravel()
    w = (half * weight).ravel()
    for j, (up, down) in enumerate(zip(rising_moments(z, 4), falling_moments(z, 4), strict=True)):
        rising, falling = z * np.exp(-z * (1 - v)) * v**j, z * np.exp(-z * v) * v**j
        assert up == pytest.approx(np.sum(w * rising), rel=1e-12)
        assert down == pytest.approx(np.sum(w * falling), rel=1e-10)


def test_weights_integrate_polynomials() -> None:
    # Simpson's rule, and Adams-Bashforth of order 3
    simpson = weights([0, 0.5, 1], [1, 1 / 2, 1 / 3])
    assert simpson == pytest.approx([1 / 6, 4 / 6, 1 / 6])
    assert weights([0, -1, -2], [1, 1 / 2, 1 / 3]) == pytest.approx([23 / 12, -16 / 12, 5 / 12])


def history(
    sampler: Sampler, state: Callable[[Tensor], Tensor], value: Callable[[Tensor], Tensor]
) -> Callable[[Sequence[Tensor]], Memory]:
    """Exact memory before step k from the times up to times[k], newest last."""

    def seeded(times: Sequence[Tensor]) -> Memory:
        before = [value(t) for t in reversed(times[:-1])]
        if isinstance(sampler, UniPC):
            return (state(times[-2]), *before[: sampler.p])
        return tuple(before[: sampler.order - 1])

    return seeded


def from_history(
    sampler: Sampler,
    denoiser: Denoiser,
    state: Callable[[Tensor], Tensor],
    value: Callable[[Tensor], Tensor],
    times: Tensor,
) -> Tensor:
    """Error at times[-1] of a walk that starts at times[4] with exact state and memory."""
    plan = sampler.plan(denoiser.schedule, times)
    denoise = denoiser.on_grid(tensor(plan.grid), state(times[4]))
    x, memory = state(times[4]), history(sampler, state, value)(list(times[:5]))
    for k in range(4, plan.steps):
        x, memory = sampler.step(denoise, x, k, plan, memory, None)
    return (x - state(times[-1])).abs().max()


def exponential_integral(coefficients: Sequence[float], level: float, sign: int) -> float:
    """Antiderivative of e^(sign l) p(l) at `level`, by repeated parts."""
    total, polynomial, factor = 0.0, np.polynomial.Polynomial(coefficients), 1.0 / sign
    while True:
        total += factor * float(polynomial(level))
        if polynomial.degree() == 0:
            return math.exp(sign * level) * total
        polynomial, factor = polynomial.deriv(), -factor / sign


@pytest.mark.parametrize(
    ("sampler", "degree"),
    [
        (DpmSolverPP2M(correction="heun"), 1),
        (DpmSolverPP3M(), 2),
        (UniPC(p=2), 2),
        (UniPC(p=3), 3),
    ],
    ids=repr,
)
def test_exact_on_polynomial_data_of_the_log_snr(
    path: Schedule, sampler: Sampler, degree: int
) -> None:
    # D = P(lambda): x_s = sigma_s int e^l P(l) dl in closed form. UniPC's last step is predicted
    # by a polynomial of degree p - 1 only; the state before it, corrected, is exact
    levels = torch.tensor([-1.3, -1.1, -0.7, -0.4, 0.0, 0.5, 0.8, 1.4], dtype=torch.float64)
    times = path.time(levels)

    def error(power: int) -> float:
        coefficients = [0.4, -0.6, 0.5, 0.3, -0.2][: power + 1]

        def value(t: Tensor) -> Tensor:
            level = log_snr(path, t)
            return sum(c * level**j for j, c in enumerate(coefficients)).reshape(1, 1)

        def state(t: Tensor) -> Tensor:
            level = log_snr(path, t).item()
            return path.sigma(t) * tensor([[exponential_integral(coefficients, level, 1)]])

        denoiser = Function(path, lambda x, t: value(t))
        if not isinstance(sampler, UniPC):
            return from_history(sampler, denoiser, state, value, times).item()
        corrected: list[Tensor] = []
        plan = sampler.plan(path, times)
        x, memory = state(times[4]), history(sampler, state, value)(list(times[:5]))
        for k in range(4, plan.steps):
            denoise = denoiser.on_grid(tensor(plan.grid), x)
            x, memory = sampler.step(denoise, x, k, plan, memory, None)
            corrected.append(memory[0] - state(times[k]))
        return torch.stack(corrected).abs().max().item()

    for power in range(degree + 1):
        assert error(power) < 1e-12
    assert error(degree + 1) > 1e-6


@pytest.mark.parametrize("order", [2, 3])
def test_deis_is_exact_on_polynomial_noise_of_the_log_snr(path: Schedule, order: int) -> None:
    times = path.time(torch.tensor([-1.3, -1.1, -0.7, -0.4, 0.0, 0.5, 0.8], dtype=torch.float64))
    for power in range(order + 1):
        coefficients = [0.4, -0.6, 0.5, 0.3][: power + 1]

        def value(t: Tensor, coefficients: list[float] = coefficients) -> Tensor:
            level = log_snr(path, t)
            return sum(c * level**j for j, c in enumerate(coefficients)).reshape(1, 1)

        def state(t: Tensor, coefficients: list[float] = coefficients) -> Tensor:
            # dy = eps drho = -eps e^-l dl
            level = log_snr(path, t).item()
            return -path.alpha(t) * tensor([[exponential_integral(coefficients, level, -1)]])

        denoiser = Function(path, lambda x, t: (x - path.sigma(t) * value(t)) / path.alpha(t))
        error = from_history(Deis(order), denoiser, state, value, times).item()
        assert error < 1e-12 if power < order else error > 1e-6


@pytest.mark.parametrize("order", [2, 3, 4])
def test_lms_is_exact_on_polynomial_noise_of_the_noise_level(path: Schedule, order: int) -> None:
    times = path.time(torch.tensor([-1.3, -1.1, -0.7, -0.4, 0.0, 0.5, 0.8], dtype=torch.float64))
    for power in range(order + 1):
        noise = np.polynomial.Polynomial([0.4, -0.6, 0.5, 0.3, -0.2][: power + 1])

        def value(t: Tensor, noise: np.polynomial.Polynomial = noise) -> Tensor:
            return tensor([[noise((path.sigma(t) / path.alpha(t)).item())]])

        def state(t: Tensor, noise: np.polynomial.Polynomial = noise) -> Tensor:
            rho = (path.sigma(t) / path.alpha(t)).item()
            return path.alpha(t) * tensor([[noise.integ()(rho)]])

        denoiser = Function(path, lambda x, t: (x - path.sigma(t) * value(t)) / path.alpha(t))
        error = from_history(Lms(order), denoiser, state, value, times).item()
        assert error < 1e-11 if power < order else error > 1e-5


@pytest.mark.parametrize("correction", ["midpoint", "heun"])
def test_multistep_on_polynomials_of_the_log_snr(path: Schedule, correction: str) -> None:
    # D a polynomial of lambda, whatever x: x_s = sigma_s/sigma_t x + sigma_s int e^l D(l) dl has a
    # closed form. The exact line ("heun") leaves nothing of degree 1; the paper's ("midpoint")
    # leaves alpha_s (h - (1 - e^-h) - h (1 - e^-h) / 2) in every step but the first.
    start, stop = (path.time(tensor(level)).item() for level in (-1.0, 2.0))
    times = uniform_log_snr(path, 6, start, stop)
    x = torch.randn(1, 1, dtype=torch.float64)
    sampler = DpmSolverPP2M(correction=correction)
    level = sampler.plan(path, times).log_snr
    h = (level[-1] - level[0]) / 6
    alpha, sigma = path.alpha(times), path.sigma(times)
    for degree in (0, 1):

        def polynomial(x: Tensor, t: Tensor, degree: int = degree) -> Tensor:
            return (2.0 + 0.7 * degree * log_snr(path, t)).expand(x.shape)

        def antiderivative(lam: float, degree: int = degree) -> float:
            return math.exp(lam) * (2.0 + 0.7 * degree * (lam - 1))

        expected = sigma[-1] / sigma[0] * x + sigma[-1] * (
            antiderivative(level[-1]) - antiderivative(level[0])
        )
        missing = 0.0
        if degree == 1:
            # the first step takes D as constant: h - (1 - e^-h) is lost
            exact_line, line = h + math.expm1(-h), -0.5 * h * math.expm1(-h)
            lost = [exact_line] + [exact_line - line if correction == "midpoint" else 0.0] * 5
            missing = 0.7 * sum(
                alpha[k + 1].item() * sigma[-1].item() / sigma[k + 1].item() * part
                for k, part in enumerate(lost)
            )
        got = sample(Function(path, polynomial), sampler, x, times)
        torch.testing.assert_close(got + missing, expected, rtol=1e-11, atol=1e-11)
