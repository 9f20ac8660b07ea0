"""Guidance by a measurement: exact where it claims to be, its stated formula elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diff_core import (
    Ancestral,
    Cosine,
    Denoiser,
    DpmSolverPP2M,
    Heun,
    Schedule,
    VariancePreserving,
    uniform_log_snr,
)
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.guidance import DiffPir, Dps, Mmps, PiGdm
from diff_core.operator import Measurement
from diff_core.sample import Sampler, sample
from linear_gaussian import (
    CORRELATED,
    F64,
    ISOTROPIC,
    MEAN,
    OFFSET,
    OPERATORS,
    SCHEDULES,
    SIZE,
    Impulses,
    matrix,
    measure,
    moments,
    posterior,
    propagate,
    start,
    tensor,
)

by_operator = pytest.mark.parametrize("name", OPERATORS)


@by_operator
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_mmps_is_exact_on_any_gaussian(name: str, schedule: Schedule, sigma: float) -> None:
    measurement = measure(OPERATORS[name], sigma, rows=5)
    guided = Mmps(ExactDenoiser(CORRELATED, schedule), measurement)
    exact = ExactDenoiser(posterior(CORRELATED, measurement), schedule)
    x = torch.randn(5, 1, SIZE, dtype=F64)
    for t in (tensor(0.05), tensor(0.5), tensor([0.1, 0.3, 0.5, 0.8, 0.98])):
        torch.testing.assert_close(guided(x, t), exact(x, t), rtol=1e-6, atol=1e-6)


@by_operator
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("method", [PiGdm, DiffPir])
def test_pigdm_and_diffpir_are_exact_on_an_isotropic_gaussian(
    method: Any, name: str, schedule: Schedule, sigma: float
) -> None:
    measurement = measure(OPERATORS[name], sigma, rows=5)
    guided = method(ExactDenoiser(ISOTROPIC, schedule), measurement, sigma_data=math.sqrt(0.7))
    exact = ExactDenoiser(posterior(ISOTROPIC, measurement), schedule)
    x = torch.randn(5, 1, SIZE, dtype=F64)
    for t in (tensor(0.05), tensor(0.5), tensor([0.1, 0.3, 0.5, 0.8, 0.98])):
        torch.testing.assert_close(guided(x, t), exact(x, t), rtol=1e-6, atol=1e-6)


def test_diffpir_is_defined_at_alpha_zero() -> None:
    measurement = measure(OPERATORS["mask"], 0.3)
    for sigma_data in (None, math.sqrt(0.7)):
        guided = DiffPir(ExactDenoiser(ISOTROPIC, Cosine()), measurement, sigma_data=sigma_data)
        got = guided(torch.randn(1, 1, SIZE, dtype=F64), tensor(1.0))
        mean = MEAN if sigma_data is None else posterior(ISOTROPIC, measurement).mean
        expected = torch.where(tensor([1, 0, 0, 1]).bool(), measurement.y, MEAN)
        torch.testing.assert_close(got, expected if sigma_data is None else mean[None])


@pytest.mark.parametrize("sampler", [Heun(), DpmSolverPP2M()])
def test_mmps_through_an_ode_sampler_reaches_the_posterior(sampler: Sampler) -> None:
    """Mean and covariance after the whole sampling, of second order in the step."""
    schedule, operator = VariancePreserving(), OPERATORS["dense"]
    exact = posterior(CORRELATED, measure(operator, 0.3))
    errors: list[tuple[float, float]] = []
    for steps in (20, 40, 80):
        times = uniform_log_snr(schedule, steps, 0.9, 1e-3)

        def solve(rows: int, x: Tensor, noise: Impulses, times: Tensor = times) -> Tensor:
            guided = Mmps(ExactDenoiser(CORRELATED, schedule), measure(operator, 0.3, rows))
            return sample(guided, sampler, x, times)

        _, root = start(exact, schedule, times[0])
        mean, spread = propagate(solve, OFFSET, root)
        end = exact.flow(schedule, OFFSET[None], times[0], times[-1]).flatten()
        _, root = start(exact, schedule, times[-1])
        errors.append(((mean - end).norm().item(), (spread - root @ root.mT).norm().item()))
    for coarse, middle, fine in zip(*errors, strict=True):
        assert coarse / middle > 3 and middle / fine > 3 and fine < 2e-3


def test_mmps_through_ancestral_sampling_reaches_the_posterior() -> None:
    """The same with noise, of first order: halved with the step."""
    schedule, operator = VariancePreserving(), OPERATORS["mask"]
    exact = posterior(CORRELATED, measure(operator, 0.3))
    t = tensor(0.9)
    _, root = start(exact, schedule, t)
    mean_0 = ExactDenoiser(exact, schedule)(OFFSET[None], t).flatten()
    _, spread_0 = moments(exact)
    errors: list[tuple[float, float]] = []
    for steps in (32, 64, 128):
        times = torch.cat([uniform_log_snr(schedule, steps, 0.9, 1e-3), torch.zeros(1)])

        def solve(rows: int, x: Tensor, noise: Impulses, times: Tensor = times) -> Tensor:
            guided = Mmps(ExactDenoiser(CORRELATED, schedule), measure(operator, 0.3, rows))
            return sample(guided, Ancestral(), x, times, noise=noise)

        mean, spread = propagate(solve, OFFSET, root)
        errors.append(((mean - mean_0).norm().item(), (spread - spread_0).norm().item()))
    # the estimate is a martingale: the mean is exact with any number of steps
    assert max(mean for mean, _ in errors) < 1e-8
    coarse, middle, fine = (spread for _, spread in errors)
    assert coarse / middle > 1.6 and middle / fine > 1.6 and fine < 0.1


# -- on other priors: the stated formula, with dense matrices -------------------------------------

MIXTURE = Mixture(tensor([0.4, 0.6]), tensor([-1.0, 1.5]), tensor([0.3, 0.6]))


def by_hand(method: str, x: Tensor, t: Tensor, schedule: Schedule, m: Measurement) -> Tensor:
    """One row of the guided estimate, from the Jacobian as a matrix."""
    denoiser = ExactDenoiser(MIXTURE, schedule)
    estimate = denoiser(x, t).flatten()
    jacobian = torch.autograd.functional.jacobian(lambda v: denoiser(v, t), x)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    spread = sigma**2 / alpha * jacobian.reshape(SIZE, SIZE)
    a, y = matrix(m.operator), m.y.flatten()
    eye = torch.eye(len(a), dtype=F64)
    variance = 1.3**2 * sigma**2 / (sigma**2 + alpha**2 * 1.3**2)
    inverse = {
        "mmps": torch.linalg.inv(a @ spread @ a.mT + m.sigma**2 * eye),
        "pigdm": torch.linalg.inv(variance * a @ a.mT + m.sigma**2 * eye),
        "dps": eye / m.sigma**2,
        "dps, normalised": 2 * 0.8 * eye / (y - a @ estimate).norm(),
    }[method]
    return estimate + spread.mT @ a.mT @ inverse @ (y - a @ estimate)


METHODS: dict[str, Callable[[Denoiser, Measurement], Denoiser]] = {
    "mmps": lambda d, m: Mmps(d, m, max_steps=20),
    "pigdm": lambda d, m: PiGdm(d, m, sigma_data=1.3),
    "dps": lambda d, m: Dps(d, m, scale=None),
    "dps, normalised": lambda d, m: Dps(d, m, scale=0.8),
}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32), time=st.floats(0.05, 0.95), name=st.sampled_from(sorted(OPERATORS))
)
def test_formula_on_a_mixture(method: str, seed: int, time: float, name: str) -> None:
    schedule, t = VariancePreserving(), tensor(time)
    x = torch.randn(3, 1, SIZE, dtype=F64, generator=torch.Generator().manual_seed(seed))
    guided = METHODS[method](
        ExactDenoiser(MIXTURE, schedule), measure(OPERATORS[name], 0.5, rows=3)
    )
    got = guided(x, t)
    for b in range(3):
        expected = by_hand(method, x[b : b + 1], t, schedule, measure(OPERATORS[name], 0.5))
        torch.testing.assert_close(got[b, 0], expected, rtol=1e-6, atol=1e-6)
