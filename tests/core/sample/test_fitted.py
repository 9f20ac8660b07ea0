"""Times fitted to a denoiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diff_core import Ancestral, Ddim, Keyed, RectifiedFlow, TrigAdams, uniform
from diff_core.evaluate import ExactDenoiser, Gaussian, Mixture
from diff_core.sample import UniPC, fit_times, sample
from diff_core.sample.fitted import _cut  # pyright: ignore[reportPrivateUsage]

MIXTURE = Mixture(*torch.tensor([[0.3, 0.7], [-1.0, 0.8], [0.3, 0.4]]).double())
ONE, ZERO = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
SCHEDULE = RectifiedFlow()
DENOISER = ExactDenoiser(MIXTURE, SCHEDULE)


def states(seed: int) -> tuple[Tensor, Tensor]:
    """Two hundred states at t = 1, and where the flow takes them."""
    x = Keyed(range(seed, seed + 200))(-1, torch.empty(200, 1, dtype=torch.float64))
    return x, MIXTURE.flow(SCHEDULE, x, ONE, ZERO)


def error(sampler: UniPC | TrigAdams, times: Tensor, seed: int) -> float:
    x, exact = states(seed)
    return float((sample(DENOISER, sampler, x, times) - exact).square().mean().sqrt())


@pytest.mark.parametrize(
    ("sampler", "steps"), [(UniPC(), 8), (TrigAdams(order=2, sigma_data=0.9), 6)]
)
def test_fitted_times_are_better_for_other_states_too(
    sampler: UniPC | TrigAdams, steps: int
) -> None:
    """Fitted to some states of the exact flow, tried on others."""
    x, exact = states(0)
    first = uniform(steps)
    fitted = fit_times(DENOISER, sampler, x, first, exact=exact)
    assert fitted[0] == 1 and fitted[-1] == 0 and len(fitted) == steps + 1
    assert (fitted.diff() < 0).all()
    assert error(sampler, fitted, 1000) < 0.7 * error(sampler, first, 1000)


def test_without_the_exact_flow_the_sampler_shows_it() -> None:
    x, exact = states(0)
    fine = sample(DENOISER, UniPC(), x, _cut(uniform(6)))
    assert (fine - exact).abs().max() < 0.01 * (x - exact).abs().max()
    fitted = fit_times(DENOISER, UniPC(), x, uniform(8), rounds=3)
    assert error(UniPC(), fitted, 1000) < 0.7 * error(UniPC(), uniform(8), 1000)


def test_the_one_step_of_ddim_is_found_for_a_gaussian() -> None:
    """Of two steps of DDIM on a Gaussian, the inner time is the best of a fine search."""
    denoiser = ExactDenoiser(
        Gaussian(torch.zeros(1).double(), torch.tensor([0.25]).double()), SCHEDULE
    )
    x = torch.linspace(-2, 2, 20, dtype=torch.float64)[:, None]
    exact = 0.5 * x

    def distance(time: float) -> float:
        times = torch.tensor([1.0, time, 0.0], dtype=torch.float64)
        return float((sample(denoiser, Ddim(), x, times) - exact).square().mean())

    best = min((k / 250 for k in range(1, 250)), key=distance)
    fitted = fit_times(denoiser, Ddim(), x, uniform(2), exact=exact, rounds=30)
    assert float(fitted[1]) == pytest.approx(best, abs=0.01)


def test_misuse_is_named() -> None:
    x, exact = states(0)
    with pytest.raises(ValueError, match="is stochastic; expected one of the flow"):
        fit_times(DENOISER, Ancestral(), x, uniform(4))
    with pytest.raises(ValueError, match="rounds is 0"):
        fit_times(DENOISER, Ddim(), x, uniform(4), rounds=0)
    with pytest.raises(ValueError, match=r"exact has shape \(199, 1\)"):
        fit_times(DENOISER, Ddim(), x, uniform(4), exact=exact[1:])
