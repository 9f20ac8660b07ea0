"""The variational bound: tight where the reverse steps are exact, and better with a variance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diff_core import Cosine, Denoiser, FromX0, Keyed, RectifiedFlow, Schedule, uniform
from diff_core.evaluate import variational_bound
from diff_core.evaluate.bound import _missed, _prior_gap
from diff_core.exact import ExactDenoiser
from diff_core.variance import MomentDenoiser
from exact_moments import MixtureMoments
from sampler_cases import MIXTURE, Wave, tensor


def mixture(schedule: Schedule) -> MixtureMoments:
    return MixtureMoments(MIXTURE.weights, MIXTURE.means, MIXTURE.deviations, schedule)


def drawn(k: int, like: Tensor) -> Tensor:
    """Noise for many rows, faster than by their seeds."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(k)).to(like)


def bound(denoiser: Denoiser, x_0: Tensor, steps: int, variance: str) -> Tensor:
    return variational_bound(denoiser, x_0, uniform(steps), drawn, variance=variance)


@pytest.mark.parametrize("schedule", [Cosine(), RectifiedFlow()], ids=repr)
@pytest.mark.parametrize("steps", [1, 3])
def test_bound_is_the_density_of_a_gaussian_on_any_grid(schedule: Schedule, steps: int) -> None:
    gaussian = MixtureMoments(tensor([1.0]), tensor([0.3]), tensor([0.5]), schedule)
    x_0 = tensor([[-0.9], [0.3], [1.0]]).repeat(2000, 1)[:, None]
    found = bound(gaussian, x_0, steps, "learned").reshape(-1, 3)
    truth = -torch.distributions.Normal(0.3, 0.5).log_prob(x_0[:3].flatten())
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - truth).abs() < 4 * error + 1e-6).all()
    assert (error < 0.1).all()


def test_a_learned_variance_is_the_best_of_a_mixture() -> None:
    x_0 = MIXTURE.sample((4000, 1), torch.Generator().manual_seed(3))
    entropy = -MIXTURE.log_prob(x_0).mean()
    denoiser = mixture(Cosine())
    excess = {
        name: [
            (bound(denoiser, x_0, steps, name).mean() - entropy).item() for steps in (4, 16, 64)
        ]
        for name in ("learned", "small", "large")
    }
    learned = excess["learned"]
    assert learned[0] > learned[1] > -0.02 and learned[1] < 0.1
    for other in ("small", "large"):
        assert all(mine < theirs for mine, theirs in zip(learned, excess[other], strict=True))


def test_rows_do_not_depend_on_the_batch_and_the_estimate_is_of_this_grid() -> None:
    x_0 = MIXTURE.sample((3, 1), torch.Generator().manual_seed(3))
    whole = variational_bound(mixture(Cosine()), x_0, uniform(4), Keyed(range(3)))
    alone = variational_bound(mixture(Cosine()), x_0[1:2], uniform(4), Keyed([1]))
    torch.testing.assert_close(whole[1:2], alone)
    plain = variational_bound(ExactDenoiser(MIXTURE, Cosine()), x_0, uniform(4), Keyed(range(3)))
    torch.testing.assert_close(whole, plain)


def test_probabilities_of_the_levels_sum_to_one() -> None:
    x = torch.linspace(-1, 1, 17, dtype=torch.float64)
    mean, deviation = tensor([0.2, -3.0, 0.97])[:, None], tensor([0.1, 0.2, 1e-3])[:, None]
    terms = _missed(x.expand(3, -1), mean, deviation, 17)
    torch.testing.assert_close((-terms).exp().sum(1), torch.ones(3, dtype=torch.float64))
    assert terms.isfinite().all()
    fine = -_missed(tensor([0.25]), tensor([0.2]), tensor([0.1]), 2**20 + 1)
    density = torch.distributions.Normal(0.2, 0.1).log_prob(tensor([0.25]))
    width = tensor([2 / 2**20])
    torch.testing.assert_close(fine, density + width.log(), rtol=1e-6, atol=1e-6)


def test_prior_gap_is_that_of_two_gaussians(path: Schedule) -> None:
    x_0, t = torch.randn(2, 1, 3, dtype=torch.float64), tensor(1.0)
    alpha, sigma = path.alpha(t), path.sigma(t)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(alpha * x_0, sigma),
        torch.distributions.Normal(0.0, torch.hypot(alpha, sigma)),
    )
    torch.testing.assert_close(
        _prior_gap(alpha, sigma, x_0), theirs.sum((1, 2)), rtol=1e-6, atol=1e-9
    )


def test_levels_replace_the_last_step() -> None:
    x_0 = MIXTURE.sample((50, 4), torch.Generator().manual_seed(3)).clamp(-0.9, 0.9)
    x_0 = (x_0 * 1024).round() / 1024
    found, plain = (
        variational_bound(
            mixture(Cosine()), x_0, uniform(16), drawn, variance="learned", levels=levels
        ).mean()
        for levels in (2049, None)
    )
    # the density is nearly constant within a level: the level's width counts, for each entry
    width = tensor(1 / 1024)
    assert found == pytest.approx((plain - 4 * width.log()).item(), abs=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": uniform(3, 1.0, 0.1)}, "times ends at 0.1; expected 0"),
        ({"levels": 1}, "levels is 1"),
        ({"variance": "learned"}, "is a FromX0; expected a MomentDenoiser"),
    ],
)
def test_misuse_is_named(change: dict[str, object], message: str) -> None:
    given = {"times": uniform(3)} | change
    with pytest.raises(ValueError, match=message):
        variational_bound(
            FromX0(Wave(), Cosine()), torch.zeros(1, 1, 2), noise=Keyed([0]), **given
        )


def test_a_moment_denoiser_must_say_its_moments() -> None:
    with pytest.raises(NotImplementedError):
        MomentDenoiser(Cosine())(torch.zeros(1, 1), tensor(0.5))
