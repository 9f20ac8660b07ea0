"""When a denoiser is trained, and on which part of a padded batch."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch
from torch import Tensor

from diff_core import Condition, Edm, FromX0, RectifiedFlow, Schedule, VariancePreserving
from diff_core.evaluate import snr_loss
from diff_core.nn import UNet
from diff_core.schedule import log_snr
from diff_core.train import Denoising, v_weight
from diff_core.train.objective import mean_square
from diff_core.train.times import Times, log_normal, logit_normal


@pytest.mark.parametrize("schedule", [Edm(), RectifiedFlow(), VariancePreserving()])
def test_levels_have_the_stated_distribution(schedule: Schedule) -> None:
    u = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    level = -log_snr(schedule, log_normal(-1.2, 1.2)(schedule, u))
    torch.testing.assert_close(level, torch.from_numpy(scipy.stats.norm(-1.2, 1.2).ppf(u)))
    t = logit_normal(0.3, 0.8)(schedule, u)
    torch.testing.assert_close(t.logit(), torch.from_numpy(scipy.stats.norm(0.3, 0.8).ppf(u)))


class Level(torch.nn.Module):
    """Remembers the times that it is told."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        self.time = time
        return x


def test_the_objective_draws_from_them() -> None:
    network, generator = Level(), torch.Generator().manual_seed(0)
    batch = {"x_0": torch.zeros(4000, 1, 1)}
    for times, law in ((logit_normal(), scipy.stats.norm()), (None, scipy.stats.logistic())):
        Denoising(times=times)(FromX0(network, RectifiedFlow()), batch, generator)
        assert scipy.stats.kstest(network.time.double().logit(), law.cdf).pvalue > 0.01


def test_times_stay_where_weights_are_finite() -> None:
    """Even the ends of [0, 1), which a generator may draw."""
    network, batch = Level(), {"x_0": torch.zeros(2**16, 1, 1)}
    objective = Denoising(v_weight, t_min=1e-3, times=log_normal(0.0, 20.0))
    loss = objective(FromX0(network, Edm()), batch, torch.Generator().manual_seed(0))
    assert loss.isfinite().all()
    assert network.time.min() == torch.tensor(1e-3) and network.time.max() == 1


def test_mean_square_is_over_the_valid_entries() -> None:
    x, lengths = torch.randn(3, 2, 4, 7, dtype=torch.float64), torch.tensor([7, 1, 4])
    expected = [x[b, ..., :n].square().mean() for b, n in enumerate(lengths.tolist())]
    torch.testing.assert_close(mean_square(x, lengths), torch.stack(expected))
    torch.testing.assert_close(mean_square(x), x.square().mean((1, 2, 3)))


def test_padding_has_no_effect_on_loss_and_gradient() -> None:
    network = UNet(1, 1, 1, (8, 16), blocks=1, attention=(1,), heads=2, token_dim=3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    denoiser, lengths = FromX0(network, RectifiedFlow()), torch.tensor([12, 5])
    x_0, tokens = torch.randn(2, 1, 12), torch.randn(2, 4, 3)
    fields = {"lengths": lengths, "token_lengths": torch.tensor([4, 2])}
    found: list[tuple[Tensor, Tensor]] = []
    for filler in (0.0, 7.0, math.nan):
        x_0[1, :, 5:], tokens[1, 2:] = filler, filler
        network.zero_grad()
        loss = Denoising(times=logit_normal())(
            denoiser, {"x_0": x_0, "tokens": tokens} | fields, torch.Generator().manual_seed(0)
        )
        loss.sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in network.parameters()])  # type: ignore[union-attr]
        assert loss.isfinite().all() and gradient.isfinite().all() and gradient.abs().max() > 0
        found.append((loss.detach(), gradient))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def test_validation_knows_lengths_and_tokens() -> None:
    """A network that answers 0: the error is the mean square of the valid part of x_0."""
    network = UNet(1, 1, 1, (8,), blocks=1, attention=(0,), heads=2, token_dim=3)
    batch = {"x_0": torch.full((2, 1, 12), torch.nan), "tokens": torch.randn(2, 4, 3)}
    batch["x_0"][0], batch["x_0"][1, :, :5] = 2.0, 3.0
    batch |= {"lengths": torch.tensor([12, 5]), "token_lengths": torch.tensor([1, 4])}
    generator = torch.Generator().manual_seed(0)
    loss = snr_loss(FromX0(network, RectifiedFlow()), [batch], [-1.0, 1.0], generator).loss
    assert loss[0] == pytest.approx((4 + 9) / 2)


@pytest.mark.parametrize("density", [log_normal, logit_normal])
def test_a_deviation_of_nothing_is_named(density: type[Times]) -> None:
    with pytest.raises(ValueError, match="deviation is 0; expected a number above 0"):
        density(0.0, 0)
