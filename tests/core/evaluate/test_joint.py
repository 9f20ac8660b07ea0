"""Joint mixtures: against Tweedie, quadrature, the Gaussian posterior and Bayes' rule."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core import VariancePreserving
from diff_core.exact import ExactDenoiser, JointMixture
from diff_core.guidance import Mmps
from diff_core.operator import Mask, Measurement
from linear_gaussian import CORRELATED, F64, MEAN, OPERATORS, SIZE, measure, moments, tensor
from linear_gaussian import covariance as correlated
from linear_gaussian import posterior as gaussian_posterior


def mixture(count: int = 3) -> JointMixture:
    generator = torch.Generator().manual_seed(4)
    roots = 0.5 * torch.randn(count, SIZE, SIZE, dtype=F64, generator=generator)
    return JointMixture(
        torch.arange(1, count + 1, dtype=F64) / (count * (count + 1) / 2),
        1.5 * torch.randn(count, 1, SIZE, dtype=F64, generator=generator),
        roots @ roots.mT + 0.1 * torch.eye(SIZE, dtype=F64),
    )


def density(joint: JointMixture, x: Tensor) -> Tensor:
    """By torch.distributions, (B,)."""
    each = torch.distributions.MultivariateNormal(joint.means.flatten(1), joint.covariances)
    which = torch.distributions.Categorical(joint.weights)
    whole = torch.distributions.MixtureSameFamily(which, each)
    return whole.log_prob(x.flatten(1))


@pytest.mark.parametrize("t", [0.02, 0.4, 0.95])
def test_posterior_mean_obeys_tweedie(t: float) -> None:
    joint, schedule, time = mixture(), VariancePreserving(), tensor(t)
    alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
    x = (2 * torch.randn(5, 1, SIZE, dtype=F64)).requires_grad_()
    (score,) = torch.autograd.grad(joint.log_prob(x, alpha, sigma).sum(), x)
    expected = (x.detach() + sigma**2 * score) / alpha
    torch.testing.assert_close(ExactDenoiser(joint, schedule)(x.detach(), time), expected)


def test_one_time_per_row() -> None:
    denoiser = ExactDenoiser(mixture(), VariancePreserving())
    x, t = torch.randn(3, 1, SIZE, dtype=F64), tensor([0.1, 0.5, 1.0])
    for b in range(3):
        torch.testing.assert_close(denoiser(x, t)[b], denoiser(x[b : b + 1], t[b])[0])


def test_density_is_torchs() -> None:
    joint, x = mixture(), torch.randn(6, 1, SIZE, dtype=F64)
    torch.testing.assert_close(joint.log_prob(x), density(joint, x))


def test_draws_have_the_moments_of_each_component() -> None:
    """Far apart components are told apart; each then has its share, mean and covariance."""
    near = mixture()
    joint = JointMixture(near.weights, 100 * near.means, near.covariances)
    drawn = joint.sample(60_000, torch.Generator().manual_seed(0)).flatten(1)
    nearest = torch.cdist(drawn, joint.means.flatten(1)).argmin(1)
    for k in range(3):
        rows, share = drawn[nearest == k], joint.weights[k].item()
        error = math.sqrt(share * (1 - share) / len(drawn))
        assert abs(len(rows) / len(drawn) - share) < 4.5 * error
        spread = joint.covariances[k]
        z = (rows.mean(0) - joint.means[k, 0]) / (spread.diagonal() / len(rows)).sqrt()
        assert z.abs().max() < 4.5
        # of a covariance: (C_ii C_jj + C_ij^2) / n
        scale = ((spread.diagonal().outer(spread.diagonal()) + spread**2) / len(rows)).sqrt()
        assert ((rows.mT.cov() - spread) / scale).abs().max() < 4.5


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_the_posterior_of_one_component_is_the_gaussian_one(name: str, sigma: float) -> None:
    one = JointMixture(tensor([1.0]), MEAN[None], correlated()[None])
    measurement = measure(OPERATORS[name], sigma)
    got, expected = (
        one.posterior(measurement),
        moments(gaussian_posterior(CORRELATED, measurement)),
    )
    torch.testing.assert_close(got.means.flatten(), expected[0])
    torch.testing.assert_close(got.covariances[0], expected[1], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_posterior_is_bayes_rule(name: str) -> None:
    """log p(x) + log p(y | x) - log p(x | y) is the same for every x: log p(y)."""
    joint, measurement = mixture(), measure(OPERATORS[name], 0.4, rows=2)
    after = joint.posterior(measurement, row=1)
    x = torch.randn(40, 1, SIZE, dtype=F64)
    misfit = (measurement.y[1:] - measurement.operator(x)).flatten(1)
    evidence = density(joint, x) - 0.5 * (misfit / 0.4).square().sum(1) - density(after, x)
    torch.testing.assert_close(evidence, evidence[:1].expand(40))
    assert not torch.allclose(after.weights, joint.weights, rtol=0.05)


def test_a_posterior_without_noise_agrees_with_y() -> None:
    measurement = measure(OPERATORS["mask"], 0.0)
    drawn = mixture().posterior(measurement).sample(5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        measurement.operator(drawn), measurement.y.expand(5, 1, SIZE), rtol=0, atol=1e-6
    )


def test_where_no_noise_is_left_guidance_finds_the_posterior_mean() -> None:
    """`Mmps` matches moments: at a high SNR one Gaussian is left, and it is exact."""
    joint, schedule = mixture(), VariancePreserving()
    measurement = measure(OPERATORS["dense"], 0.3, rows=4)
    guided = Mmps(ExactDenoiser(joint, schedule), measurement, max_steps=20)
    after = ExactDenoiser(joint.posterior(measurement), schedule)
    x = joint.posterior(measurement).sample(4, torch.Generator().manual_seed(2))
    t = tensor(0.02)
    torch.testing.assert_close(guided(x, t), after(x, t), rtol=1e-2, atol=1e-2)


def test_errors() -> None:
    eye = torch.eye(2, dtype=F64)[None]
    with pytest.raises(ValueError, match=r"shapes \(1,\), \(1, 3\), \(1, 2, 2\)"):
        JointMixture(tensor([1.0]), tensor([[0.0, 1.0, 2.0]]), eye)
    with pytest.raises(ValueError, match="sum to 1"):
        JointMixture(tensor([0.7]), tensor([[0.0, 1.0]]), eye)
    with pytest.raises(ValueError, match="not symmetric"):
        JointMixture(tensor([1.0]), tensor([[0.0, 1.0]]), tensor([[[1.0, 0.5], [0.0, 1.0]]]))
    with pytest.raises(ValueError, match="eigenvalue of -1"):
        JointMixture(tensor([1.0]), tensor([[0.0, 1.0]]), -eye)
    with pytest.raises(ValueError, match=r"signals of shape \(1, 3\)"):
        mixture().posterior(Measurement(Mask(torch.ones(3)), torch.ones(1, 1, 3)))
    flat = JointMixture(tensor([1.0]), torch.zeros(1, 1, 2, dtype=F64), 0 * eye)
    with pytest.raises(ValueError, match=r"sigma is 0\.0"):
        flat.posterior(Measurement(Mask(torch.ones(2)), torch.ones(1, 1, 2)))
