"""Exact distributions, against Tweedie's formula, quadrature and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from diff_core import RectifiedFlow, VariancePreserving, marginal
from diff_core.exact import ExactDenoiser, Gaussian, Mixture


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def correlated() -> Gaussian:
    root = tensor([[1.0, 0.3, 0.0], [0.0, 0.5, -0.4], [0.2, 0.0, 0.1]])
    return Gaussian.from_covariance(tensor([1.0, -2.0, 0.5]), root @ root.mT)


DISTRIBUTIONS: dict[str, Gaussian | Mixture] = {
    "diagonal": Gaussian(tensor([1.0, -2.0, 0.5]), tensor([0.1, 1.0, 4.0])),
    "correlated": correlated(),
    "mixture": Mixture(tensor([0.3, 0.7]), tensor([-1.0, 0.8]), tensor([0.2, 0.4])),
    "product": Mixture(
        tensor([[0.3, 0.7], [0.5, 0.5], [1.0, 0.0]]),
        tensor([[-1.0, 0.8], [0.0, 3.0], [2.0, 0.0]]),
        tensor([[0.2, 0.4], [1.0, 0.1], [0.5, 1.0]]),
    ),
}
by_kind = pytest.mark.parametrize("name", DISTRIBUTIONS)


@by_kind
@pytest.mark.parametrize("t", [0.02, 0.4, 0.95])
def test_posterior_mean_obeys_tweedie(name: str, t: float) -> None:
    distribution, schedule = DISTRIBUTIONS[name], VariancePreserving()
    time = tensor(t)
    alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
    x = (3 * torch.randn(5, 3, dtype=torch.float64)).requires_grad_()
    (score,) = torch.autograd.grad(distribution.log_prob(x, alpha, sigma).sum(), x)
    expected = (x.detach() + sigma**2 * score) / alpha
    got = ExactDenoiser(distribution, schedule)(x.detach(), time)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


@by_kind
def test_one_time_per_row(name: str) -> None:
    denoiser = ExactDenoiser(DISTRIBUTIONS[name], RectifiedFlow())
    x, t = torch.randn(4, 3, dtype=torch.float64), tensor([0.1, 0.5, 0.9, 1.0])
    for b in range(4):
        torch.testing.assert_close(denoiser(x, t)[b], denoiser(x[b : b + 1], t[b])[0])


def test_density_integrates_to_one_with_the_right_moments() -> None:
    mixture = DISTRIBUTIONS["mixture"]
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = mixture.log_prob(x[:, None], alpha=0.6, sigma=0.5).exp().numpy()
    grid = x.numpy()
    mean = 0.6 * (0.3 * -1.0 + 0.7 * 0.8)
    second = 0.36 * (0.3 * (1 + 0.04) + 0.7 * (0.64 + 0.16)) + 0.25
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-10)
    assert np.trapezoid(density * grid, grid) == pytest.approx(mean, abs=1e-10)
    assert np.trapezoid(density * grid**2, grid) == pytest.approx(second, abs=1e-10)


def test_gaussian_density_of_correlated_entries() -> None:
    gaussian = correlated()
    x = torch.randn(4, 3, dtype=torch.float64)
    root = tensor([[1.0, 0.3, 0.0], [0.0, 0.5, -0.4], [0.2, 0.0, 0.1]])
    reference = torch.distributions.MultivariateNormal(
        0.6 * gaussian.mean, 0.36 * root @ root.mT + 0.25 * torch.eye(3, dtype=torch.float64)
    )
    torch.testing.assert_close(gaussian.log_prob(x, 0.6, 0.5), reference.log_prob(x))


@by_kind
def test_flow_solves_the_probability_flow_ode(name: str) -> None:
    # dy/drho = (y - D) / rho with y = x / alpha, rho = sigma / alpha, by a central difference
    distribution, schedule = DISTRIBUTIONS[name], RectifiedFlow()
    denoiser = ExactDenoiser(distribution, schedule)
    t, x = tensor(0.5), torch.randn(6, 3, dtype=torch.float64)
    step = 1e-5

    def state(rho: float) -> Tensor:
        s = schedule.time(tensor(-math.log(rho)))
        return distribution.flow(schedule, x, t, s) / schedule.alpha(s)

    slope = (state(1 + step) - state(1 - step)) / (2 * step)
    torch.testing.assert_close(slope, x / 0.5 - denoiser(x, t), rtol=1e-7, atol=1e-7)


@by_kind
def test_flow_is_a_group_and_carries_the_density(name: str) -> None:
    distribution, schedule = DISTRIBUTIONS[name], VariancePreserving()
    x = torch.randn(4, 3, dtype=torch.float64).requires_grad_()
    one, half, zero = tensor(1.0), tensor(0.5), tensor(0.0)
    there = distribution.flow(schedule, x, one, half)
    torch.testing.assert_close(
        distribution.flow(schedule, there, half, zero),
        distribution.flow(schedule, x, one, zero),
        rtol=1e-7,
        atol=1e-7,
    )
    torch.testing.assert_close(
        distribution.flow(schedule, there, half, one), x, rtol=1e-7, atol=1e-7
    )
    # change of variables, with the Jacobian by central differences
    step = 1e-5
    columns = [
        distribution.flow(schedule, x + step * e, one, half)
        - distribution.flow(schedule, x - step * e, one, half)
        for e in torch.eye(3, dtype=torch.float64)
    ]
    jacobian = torch.stack(columns, -1) / (2 * step)
    a, b = (
        distribution.log_prob(y, schedule.alpha(t).item(), schedule.sigma(t).item())
        for y, t in ((x, one), (there, half))
    )
    torch.testing.assert_close(b + torch.logdet(jacobian), a, rtol=1e-5, atol=1e-5)


@by_kind
def test_samples_have_the_moments(name: str) -> None:
    distribution = DISTRIBUTIONS[name]
    generator, n = torch.Generator().manual_seed(0), 40_000
    shape = (n, 3)
    drawn = (
        distribution.sample(n, generator)
        if isinstance(distribution, Gaussian)
        else distribution.sample(shape, generator)
    )
    assert drawn.shape == shape
    # the exact mean: E[x_0] is the posterior mean where x_t says nothing
    mean = ExactDenoiser(distribution, RectifiedFlow())(drawn[:1], tensor(1.0))[0]
    error = (drawn.mean(0) - mean) / (drawn.std(0) / math.sqrt(n))
    assert error.abs().max() < 4.5
    # the noisy samples' score has mean 0 and, by Stein's identity, E[x . score] = -dimension
    x_t = marginal(RectifiedFlow(), drawn, tensor(0.5), torch.randn(shape, generator=generator))
    x_t.requires_grad_()
    (score,) = torch.autograd.grad(distribution.log_prob(x_t, 0.5, 0.5).sum(), x_t)
    products = (x_t * score).sum(1).detach()
    assert abs(products.mean() + 3) / (products.std() / math.sqrt(n)) < 4.5


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"variances .*\(2,\)"):
        Gaussian(torch.zeros(3), torch.ones(2))
    with pytest.raises(ValueError, match=r"basis .*\(2, 2\)"):
        Gaussian(torch.zeros(3), torch.ones(3), torch.eye(2))
    with pytest.raises(ValueError, match="sum to 1"):
        Mixture(tensor([0.5, 0.6]), tensor([0.0, 1.0]), tensor([1.0, 1.0]))
    with pytest.raises(ValueError, match="deviations"):
        Mixture(tensor([0.5, 0.5]), tensor([0.0, 1.0]), tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="shapes"):
        Mixture(tensor([1.0]), tensor([0.0, 1.0]), tensor([1.0, 1.0]))
