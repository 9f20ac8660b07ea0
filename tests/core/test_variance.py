"""The variance of x_0: the best reverse step, learned and used."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Ancestral,
    Condition,
    Cosine,
    FromV,
    FromX0,
    Keyed,
    Preconditioned,
    Schedule,
    VariancePreserving,
    WithVariance,
    uniform,
)
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.io import Card, load, save
from diff_core.nn import UNet
from diff_core.sample import Ddim, sample
from diff_core.tables import linear
from diff_core.variance import step_divergence
from exact_moments import MixtureMoments, Two
from sampler_cases import MIXTURE, ZERO, Function, tensor

DATA = Gaussian(tensor([0.0]), tensor([0.25]))


class Moments(MixtureMoments):
    """Those of N(0, 0.25)."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(tensor([1.0]), tensor([0.0]), tensor([0.5]), schedule)


def of_mixture(schedule: Schedule) -> MixtureMoments:
    return MixtureMoments(MIXTURE.weights, MIXTURE.means, MIXTURE.deviations, schedule)


def test_moments_of_the_yardstick_are_tweedies(schedule: Schedule) -> None:
    t = tensor(0.6)
    x = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None].requires_grad_()
    mean = ExactDenoiser(MIXTURE, schedule)(x, t)
    (slope,) = torch.autograd.grad(mean.sum(), x)
    found = of_mixture(schedule).moments(x.detach(), t)
    torch.testing.assert_close(found[0], mean.detach())
    torch.testing.assert_close(found[1], schedule.sigma(t) ** 2 / schedule.alpha(t) * slope)


@pytest.mark.parametrize("variance", ["learned", "small", "large"])
def test_step_has_the_variance_of_the_true_reverse_law(variance: str, path: Schedule) -> None:
    """Of p(x_s | x_t), by quadrature over x_s."""
    times = tensor([0.7, 0.3])
    alpha, sigma = path.alpha(times), path.sigma(times)
    x_t = alpha[0] * tensor([[-1.2], [0.1], [0.9]]) + sigma[0] * tensor([[0.4], [0.2], [-0.3]])
    span = (3 * alpha[1] + 8 * sigma[1]).item()
    x_s = torch.linspace(-span, span, 200001, dtype=torch.float64)
    ratio = alpha[0] / alpha[1]
    forward = sigma[0] ** 2 - (ratio * sigma[1]) ** 2
    log_p = MIXTURE.log_prob(x_s[:, None], alpha[1].item(), sigma[1].item())
    law = (log_p - (x_t - ratio * x_s).square() / (2 * forward)).softmax(1)
    mean = (law * x_s).sum(1, keepdim=True)
    truth = (law * (x_s - mean).square()).sum(1, keepdim=True)

    def walk(noise: float) -> Tensor:
        return sample(
            of_mixture(path),
            Ancestral(variance=variance),
            x_t,
            times,
            noise=lambda k, like: torch.full_like(like, noise),
        )

    torch.testing.assert_close(walk(0.0), mean, rtol=1e-6, atol=1e-6)
    found = (walk(1.0) - walk(0.0)).square()
    if variance == "learned":
        torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-8)
    else:
        assert ((found - truth).abs() > 1e-4 * truth).any()


@pytest.mark.parametrize("times", [[1.0, 0.4, 0.05], [0.9, 0.2]])
def test_learned_variance_is_exact_on_a_gaussian_for_every_grid(
    times: list[float], path: Schedule
) -> None:
    """Row 0 carries the start, each other row one of the noises: the sum of squares counts."""

    def variance_at(t: float) -> float:
        return (path.alpha(tensor(t)) ** 2 * 0.25 + path.sigma(tensor(t)) ** 2).item()

    def reached(variance: str) -> float:
        x = torch.zeros(len(times), 1, dtype=torch.float64)
        x[0] = math.sqrt(variance_at(times[0]))

        def unit(k: int, like: Tensor) -> Tensor:
            return torch.eye(len(times), dtype=torch.float64)[:, k + 1 : k + 2]

        sampler = Ancestral(variance=variance)
        return sample(Moments(path), sampler, x, tensor(times), noise=unit).square().sum().item()

    assert reached("learned") == pytest.approx(variance_at(times[-1]), rel=1e-9)
    for other, sign in (("small", -1), ("large", 1)):
        assert sign * (reached(other) / variance_at(times[-1]) - 1) > 1e-4


def test_large_variance_is_the_beta_of_ddpm() -> None:
    table = linear()
    k = 600
    times = tensor([k / 1000, (k - 1) / 1000])
    beta = 1e-4 + (0.02 - 1e-4) * (k - 1) / 999
    plan = Ancestral(variance="large", temperature=0.5).plan(table, times)
    assert plan.coefficients[0][2] == pytest.approx(0.5 * math.sqrt(beta), rel=1e-9)
    end = Ancestral(variance="large").plan(table, tensor([0.5, 0.0]))
    assert end.coefficients[0][2] == 0


def test_equation_15_in_the_limit_of_short_steps() -> None:
    """v of Sigma = B^v b^(1 - v) is V / sigma^2."""
    schedule, t = VariancePreserving(), tensor(0.5)
    _, variance = of_mixture(schedule).moments(tensor([[0.3]]), t)
    times = torch.stack([t, t - 1e-5])
    small, large = (
        Ancestral(variance=name).plan(schedule, times).coefficients[0]
        for name in ("small", "large")
    )
    b, total = small[2] ** 2, small[2] ** 2 + small[1] ** 2 * variance.item()
    v = math.log(total / b) / math.log(large[2] ** 2 / b)
    assert v == pytest.approx((variance / schedule.sigma(t) ** 2).item(), rel=1e-3)


def test_divergence_is_that_of_two_gaussians(path: Schedule) -> None:
    t, s = tensor([0.8, 0.5]), tensor([0.3, 0.0])
    error, variance = (torch.rand(2, 1, 6, dtype=torch.float64) + 0.1 for _ in range(2))
    found = step_divergence(path, t, s, error, variance)
    (_, level, spread), *_ = Ancestral().plan(path, torch.stack([t[0], s[0]])).coefficients
    ours = torch.distributions.Normal(level * error[0].sqrt(), spread)
    theirs = torch.distributions.Normal(0.0, (spread**2 + level**2 * variance[0]).sqrt())
    torch.testing.assert_close(
        found[0], torch.distributions.kl_divergence(ours, theirs), rtol=1e-6, atol=1e-9
    )
    last = torch.distributions.Normal(0.0, variance[1].sqrt())
    torch.testing.assert_close(found[1], -last.log_prob(error[1].sqrt()))
    # without a variance a step costs what the weight of its error is
    certain = step_divergence(path, t[0], s[0], error[0], torch.zeros_like(error[0]))
    torch.testing.assert_close(certain, 0.5 * (level / spread) ** 2 * error[0])


@pytest.mark.parametrize("ends", [(0.6, 0.59), (0.6, 0.3), (0.6, 0.0)])
def test_divergence_is_least_at_the_mean_squared_error(ends: tuple[float, float]) -> None:
    error = torch.rand(1, 1, 1000, dtype=torch.float64)
    variance = error.mean().expand_as(error).clone().requires_grad_()
    t, s = tensor(ends)
    terms = step_divergence(Cosine(), t, s, error, variance)
    (slope,) = torch.autograd.grad(terms.sum(), variance)
    assert slope.sum().abs() < 1e-9 * slope.abs().sum()


class One(nn.Module):
    """The first half of `Two`."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        return 0.3 * x


@pytest.mark.parametrize("kind", [FromX0, FromV, Preconditioned])
def test_second_output_is_a_variance_and_the_first_a_denoiser(
    kind: type[FromX0 | FromV | Preconditioned], schedule: Schedule
) -> None:
    x, t = torch.randn(3, 2, 5, dtype=torch.float64), tensor([0.2, 0.5, 0.8])
    pair = WithVariance(kind(Two(math.log(0.5)), schedule), 0.7)
    mean, variance = pair.moments(x, t)
    torch.testing.assert_close(mean, kind(One(), schedule)(x, t))
    torch.testing.assert_close(pair(x, t), mean)
    # half of that of Gaussian data
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    gaussian = 0.49 * sigma**2 / (0.49 * alpha**2 + sigma**2)
    torch.testing.assert_close(variance, (0.5 * gaussian)[:, None, None].expand_as(x))
    denoise = pair.on_grid(t, x)
    torch.testing.assert_close(denoise.moments(x[:1], 1)[1], variance[1:2, :1, :1].expand(1, 2, 5))


def test_any_sampler_takes_the_mean_alone() -> None:
    schedule, source = Cosine(), Keyed([1, 2])
    start = source(-1, torch.empty(2, 1, 4, dtype=torch.float64))
    pair, plain = WithVariance(FromV(Two(), schedule)), FromV(One(), schedule)
    for sampler in (Ddim(), Ancestral()):
        walks = (sample(d, sampler, start, uniform(5), noise=source) for d in (pair, plain))
        torch.testing.assert_close(*walks)
    seen: list[Tensor] = []
    learned = Ancestral(variance="learned")
    sample(pair, learned, start, uniform(2), noise=source, on_step=lambda k, x, e: seen.append(e))
    torch.testing.assert_close(seen[0], plain(start, tensor(1.0)))


def test_a_file_gives_the_same_moments(tmp_path: Path) -> None:
    network = UNet(1, 1, 2, (8,), blocks=1, embedding=8)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    pair = WithVariance(FromV(network, Cosine()), 0.5)
    save(tmp_path / "model.safetensors", pair, Card("two"))
    again, _ = load(tmp_path / "model.safetensors")
    x, t = torch.randn(2, 1, 16), torch.tensor(0.4)
    for mine, other in zip(pair.moments(x, t), again.moments(x, t), strict=True):
        torch.testing.assert_close(mine, other)


def test_misuse_is_named() -> None:
    schedule, x = Cosine(), torch.randn(2, 1, 4, dtype=torch.float64)
    with pytest.raises(
        ValueError, match="is a Function; expected one that is made from a network"
    ):
        WithVariance(Function(schedule, lambda x, t: x))
    with pytest.raises(ValueError, match="sigma_data is 0"):
        WithVariance(FromV(Two(), schedule), 0.0)
    with pytest.raises(ValueError, match=r"shape \(2, 1, 4\); expected \(2, 2, 4\)"):
        WithVariance(FromV(One(), schedule))(x, ZERO)
    with pytest.raises(ValueError, match="the denoiser knows none"):
        sample(
            FromV(One(), schedule),
            Ancestral(variance="learned"),
            x,
            uniform(2),
            noise=Keyed([0, 1]),
        )
    with pytest.raises(ValueError, match="variance is 'medium'"):
        Ancestral(variance="medium")
