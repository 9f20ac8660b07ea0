"""Log-likelihood: against exact densities, its order, and that any flow's density sums to 1."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from diff_core import (
    Condition,
    Cosine,
    Edm,
    FromEps,
    FromX0,
    Keyed,
    Preconditioned,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreserving,
    uniform,
    uniform_log_snr,
)
from diff_core.evaluate.likelihood import log_likelihood
from diff_core.exact import ExactDenoiser, Gaussian, Mixture


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


MIXTURE = Mixture(
    tensor([[0.3, 0.7], [0.6, 0.4]]),
    tensor([[-1.0, 0.8], [-0.5, 1.2]]),
    tensor([[0.3, 0.4], [0.5, 0.2]]),
)
X = tensor([[0.1, -0.4], [-1.2, 0.9], [2.0, 1.5], [0.0, 0.0]])


def exact(distribution: Gaussian | Mixture, schedule: Schedule, t: Tensor, x: Tensor) -> Tensor:
    return distribution.log_prob(x, schedule.alpha(t).item(), schedule.sigma(t).item())


@pytest.mark.parametrize(
    "schedule",
    [VariancePreserving(), Cosine(), VarianceExploding(), Edm(), RectifiedFlow()],
    ids=repr,
)
def test_of_a_mixture_with_its_own_prior(schedule: Schedule) -> None:
    times = uniform_log_snr(schedule, 160, start=0.95, stop=0.01)
    denoiser = ExactDenoiser(MIXTURE, schedule)
    got = log_likelihood(denoiser, X, times, prior=lambda x: exact(MIXTURE, schedule, times[0], x))
    torch.testing.assert_close(got, exact(MIXTURE, schedule, times[-1], X), rtol=0, atol=2e-5)


def test_converges_with_order_four() -> None:
    schedule = VariancePreserving()
    denoiser = ExactDenoiser(MIXTURE, schedule)
    errors: list[float] = []
    for steps in (40, 80, 160):
        times = uniform_log_snr(schedule, steps, start=0.9, stop=0.05)
        expected = exact(MIXTURE, schedule, times[-1], X)
        got = log_likelihood(
            denoiser, X, times, prior=lambda x, t=times[0]: exact(MIXTURE, schedule, t, x)
        )
        errors.append((got - expected).abs().max().item())
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert math.log2(coarse / fine) == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("schedule", [VariancePreserving(), Edm()], ids=repr)
def test_of_correlated_data_with_the_default_prior(schedule: Schedule) -> None:
    root = tensor([[1.0, 0.3, 0.0], [0.0, 0.5, -0.4], [0.2, 0.0, 0.3]])
    gaussian = Gaussian.from_covariance(torch.zeros(3, dtype=torch.float64), root @ root.mT)
    times = uniform_log_snr(schedule, 100, start=1.0, stop=0.005)
    x = gaussian.sample(5, torch.Generator().manual_seed(0))
    got = log_likelihood(ExactDenoiser(gaussian, schedule), x, times)
    torch.testing.assert_close(got, exact(gaussian, schedule, times[-1], x), rtol=0, atol=1e-3)


class Smooth(nn.Module):
    """A network of one entry that is no posterior mean of anything."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 16, dtype=torch.float64)
        self.outer = nn.Linear(16, 1, dtype=torch.float64)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        both = torch.cat([x, time[:, None].to(x)], dim=1)
        shift = 0.0 if cond is None or cond.vector is None else cond.vector
        return self.outer(torch.tanh(self.inner(both))) + shift


@pytest.mark.parametrize("cond", [None, 0.7])
def test_density_of_an_untrained_network_integrates_to_one(cond: float | None) -> None:
    # the flow of any smooth denoiser is a bijection, so that it carries the prior's whole mass
    denoiser = Preconditioned(Smooth(), VariancePreserving(), sigma_data=1.0)
    times = uniform_log_snr(denoiser.schedule, 60, start=0.9, stop=0.1)
    x = torch.linspace(-12, 12, 2401, dtype=torch.float64)[:, None]
    given = None if cond is None else Condition(vector=torch.full_like(x, cond))
    density = log_likelihood(denoiser, x, times, cond=given).exp()
    assert torch.trapezoid(density, x[:, 0]).item() == pytest.approx(1, abs=1e-5)
    plain = log_likelihood(denoiser, x, times).exp()
    assert torch.allclose(plain, density) == (cond is None)


class AllSigns:
    """Every vector of signs once, a row each: their mean is the trace itself."""

    def __init__(self, size: int) -> None:
        self.rows = torch.tensor(list(itertools.product((-2.0, 1.0), repeat=size)))

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return self.rows.to(like).roll(k, 0).reshape(like.shape)


def test_estimated_trace_is_unbiased_and_is_exact_without_correlation() -> None:
    root = tensor([[1.0, 0.3, 0.0], [0.0, 0.5, -0.4], [0.2, 0.0, 0.3]])
    gaussian = Gaussian.from_covariance(tensor([0.2, -0.1, 0.0]), root @ root.mT)
    schedule = Cosine()
    times = uniform_log_snr(schedule, 20, start=0.95, stop=0.1)
    denoiser, x = ExactDenoiser(gaussian, schedule), tensor([[[0.5, -1.0, 0.3]]]).expand(8, 1, 3)
    x = x[:, 0]
    trace = log_likelihood(denoiser, x, times)
    one = log_likelihood(denoiser, x, times, probe=AllSigns(3))
    assert one.std() > 0.01
    torch.testing.assert_close(one.mean(), trace[0])
    every = log_likelihood(denoiser, x, times, probe=AllSigns(3), probes=8)
    torch.testing.assert_close(every, trace)
    product = ExactDenoiser(MIXTURE, schedule)
    torch.testing.assert_close(
        log_likelihood(product, X, times, probe=Keyed([1, 2, 3, 4])),
        log_likelihood(product, X, times),
    )


def test_rows_do_not_depend_on_the_batch_and_weights_get_no_gradient() -> None:
    network = Smooth()
    denoiser = FromX0(network, RectifiedFlow())
    times = uniform(10, start=0.9, stop=0.1)
    x = torch.randn(3, 1, dtype=torch.float64)
    together = log_likelihood(denoiser, x, times)
    for b in range(3):
        torch.testing.assert_close(log_likelihood(denoiser, x[b : b + 1], times)[0], together[b])
    assert not together.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


class Constant(nn.Module):
    """A network without an input."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None) -> Tensor:
        return torch.full_like(x, self.value)


def test_of_a_flow_known_by_hand() -> None:
    # eps = c gives dy/drho = c: x / alpha is carried along, and its volume only scales with alpha
    schedule, times = Cosine(), uniform(40, start=0.8, stop=0.3)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    got = log_likelihood(FromEps(Constant(0.5), schedule), X, times, prior=lambda x: -x.sum(1))
    rho = sigma / alpha
    end = alpha[0] * (X / alpha[-1] + 0.5 * (rho[0] - rho[-1]))
    torch.testing.assert_close(got, 2 * (alpha[0] / alpha[-1]).log() - end.sum(1))


def test_bad_input_is_named() -> None:
    times = uniform(4, start=0.9, stop=0.1)
    denoiser = ExactDenoiser(MIXTURE, Cosine())
    with pytest.raises(ValueError, match="log-SNR is .* and inf"):
        log_likelihood(denoiser, X, uniform(4, start=0.9))
    with pytest.raises(ValueError, match="log-SNR is -inf"):
        log_likelihood(denoiser, X, uniform(4, stop=0.1))
    with pytest.raises(ValueError, match="probes is 0"):
        log_likelihood(denoiser, X, times, probes=0)
    with pytest.raises(ValueError, match=r"times\[1\]"):
        log_likelihood(denoiser, X, times.flip(0))
    with pytest.raises(ValueError, match="FromX0 returned an answer without a gradient"):
        log_likelihood(FromX0(Constant(1.0), Cosine()), X, times)
