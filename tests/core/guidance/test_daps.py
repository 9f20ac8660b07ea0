"""DAPS: exact where it claims to be, and off by what its page says elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core import Cosine, Edm, Keyed, VariancePreserving, karras, uniform, uniform_log_snr
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.guidance import Daps
from diff_core.operator import Clip, Mask, Measurement, NonlinearMeasurement
from diff_core.sample import sample
from linear_gaussian import (
    F64,
    ISOTROPIC,
    OPERATORS,
    SIZE,
    Impulses,
    measure,
    moments,
    posterior,
    propagate,
    start,
    tensor,
)


class Drawn:
    """Noise of whole batches at once: `Keyed` takes a while for thousands of rows."""

    def __call__(self, k: int, like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(k + 1)
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)


@pytest.mark.parametrize("name", ["mask", "blur, some missing"])
@pytest.mark.parametrize("steps", [1, 4])
def test_every_step_is_exact_on_an_isotropic_gaussian(name: str, steps: int) -> None:
    """With one Euler step and the data's deviation: mean and covariance, by impulses."""
    schedule = VariancePreserving()
    exact = posterior(ISOTROPIC, measure(OPERATORS[name], 0.3))
    times = torch.cat([uniform_log_snr(schedule, steps, 0.9, 0.2), torch.zeros(1)])

    def solve(rows: int, x: Tensor, noise: Impulses) -> Tensor:
        measurement = measure(OPERATORS[name], 0.3, rows)
        daps = Daps(measurement, solver_steps=1, sigma_data=math.sqrt(0.7))
        return sample(ExactDenoiser(ISOTROPIC, schedule), daps, x, times, noise=noise)

    mean, spread = propagate(solve, *start(exact, schedule, times[0]))
    expected = moments(exact)
    torch.testing.assert_close(mean, expected[0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(spread, expected[1], rtol=1e-6, atol=1e-6)


def test_bias_of_the_papers_settings() -> None:
    """Gain and variance on N(0, c) observed as y = x_0 + a^(1/2) n, by their recursion."""
    c, a, steps = 0.7, 0.25, 50
    schedule = Edm()
    times = karras(schedule, steps, sigma_max=80.0)
    rho = [float(schedule.sigma(t)) for t in times]
    lowest = rho[-2]
    gain, variance = 0.0, rho[0] ** 2 + c
    for k in range(steps):
        levels = list(
            np.linspace(rho[k] ** (1 / 7), lowest ** (1 / 7), 5) ** 7
            if rho[k] > lowest
            else [rho[k]]
        )
        slope = 1.0
        for here, there in zip(levels, [*levels[1:], 0.0], strict=True):
            slope *= there / here + (1 - there / here) * c / (c + here**2)
        weight = a / (a + rho[k] ** 2)
        gain = weight * slope * gain + 1 - weight
        left = a * rho[k] ** 2 / (a + rho[k] ** 2)
        variance = (weight * slope) ** 2 * variance + left + rho[k + 1] ** 2
    prior = Gaussian(torch.zeros(1, 1, dtype=F64), torch.full((1, 1), c, dtype=F64))
    n = 4000
    y = torch.ones(n, 1, 1, dtype=F64)
    x = math.sqrt(rho[0] ** 2 + c) * Drawn()(-1, y)
    daps = Daps(Measurement(Mask(torch.ones(1)), y, math.sqrt(a)))
    found = sample(ExactDenoiser(prior, schedule), daps, x, times, noise=Drawn())
    assert abs(found.mean().item() - gain) < 4.5 * math.sqrt(variance / n)
    assert abs(found.var().item() / variance - 1) < 4.5 * math.sqrt(2 / n)
    assert variance / (a * c / (a + c)) == pytest.approx(1.07, abs=0.005)
    assert gain / (c / (a + c)) == pytest.approx(1.11, abs=0.005)


@pytest.mark.parametrize("y", [0.3, 0.9])
def test_a_clipped_gaussian_has_the_posterior_of_quadrature(y: float) -> None:
    """Every step is exact on N(0, 1); Langevin steps with acceptance draw from a bent density."""
    n, sigma = 3000, 0.2
    prior = Gaussian(torch.zeros(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64))
    clip = Clip(-0.8, 0.8)
    measurement = NonlinearMeasurement(clip, torch.full((n, 1, 1), y, dtype=F64), (n, 1, 1), sigma)
    schedule = VariancePreserving()
    times = torch.cat([uniform_log_snr(schedule, 2, 0.999, 0.3), torch.zeros(1)])
    daps = Daps(measurement, solver_steps=1, sigma_data=1.0, langevin_steps=200, rate=2.0)
    x = Drawn()(-1, measurement.y)
    found = sample(ExactDenoiser(prior, schedule), daps, x, times, noise=Drawn())
    grid = torch.linspace(-6, 6, 20_001, dtype=F64)
    weight = torch.exp(-0.5 * grid**2 - 0.5 * ((y - clip(grid)) / sigma) ** 2)
    cumulative = (weight.cumsum(0) / weight.sum()).numpy()
    ordered = np.sort(found.flatten().numpy())
    gap = np.abs(np.interp(ordered, grid.numpy(), cumulative) - (np.arange(n) + 0.5) / n).max()
    # Kolmogorov's distance: 1.95 / sqrt(n) has a probability of 0.1 %
    assert gap < 1.95 / math.sqrt(n)


def test_rows_do_not_depend_on_the_batch() -> None:
    schedule, prior = VariancePreserving(), ISOTROPIC
    y = torch.randn(3, 1, SIZE, dtype=F64)
    x = torch.randn(3, 1, SIZE, dtype=F64)
    times = torch.cat([uniform_log_snr(schedule, 3, 0.9, 0.2), torch.zeros(1)])
    for some in (slice(0, 3), slice(1, 2)):
        daps = Daps(
            NonlinearMeasurement(Clip(), Clip()(y[some]), tuple(y[some].shape), 0.3),
            langevin_steps=5,
        )
        noise = Keyed([5, 6, 7][some])
        found = sample(ExactDenoiser(prior, schedule), daps, x[some], times, noise=noise)
        if some == slice(0, 3):
            whole = found
    torch.testing.assert_close(found, whole[1:2])


def quiet() -> Measurement:
    return measure(OPERATORS["mask"], 0.3)


ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "solver": (lambda: Daps(quiet(), solver_steps=0), "solver_steps is 0"),
    "langevin": (lambda: Daps(quiet(), langevin_steps=0), "langevin_steps is 0"),
    "data": (lambda: Daps(quiet(), sigma_data=0.0), r"sigma_data is 0\.0"),
    "rate": (lambda: Daps(quiet(), rate=math.inf), "rate is inf"),
    "alpha": (lambda: Daps(quiet()).plan(Cosine(), uniform(3)), "t = 1 has alpha = 0, where Daps"),
    "noise": (
        lambda: sample(
            ExactDenoiser(ISOTROPIC, VariancePreserving()),
            Daps(quiet()),
            torch.randn(1, 1, SIZE, dtype=F64),
            tensor([0.9, 0.5]),
        ),
        "noise is None",
    ),
    "shape": (
        lambda: sample(
            ExactDenoiser(ISOTROPIC, VariancePreserving()),
            Daps(quiet()),
            torch.randn(2, 1, SIZE, dtype=F64),
            tensor([0.9, 0.5]),
            noise=Keyed([0, 1]),
        ),
        "x_t has shape",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()
