"""The objective that learns a variance beside the mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from diff_core import Condition, Cosine, FromV, RectifiedFlow, WithVariance
from diff_core.train import Denoising, Hybrid, Objective
from exact_moments import MixtureMoments, Two
from sampler_cases import MIXTURE, tensor


def test_the_bound_trains_the_variance_alone() -> None:
    """The mean's gradient is that of the squared error; only lambda scales the variance's."""

    class Scaled(Two):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

        def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
            return torch.cat([self.gain * x, self.log_ratio.expand_as(x)], 1)

    x_0 = torch.randn(16, 1, 4, dtype=torch.float64)

    def gradients(objective: Objective) -> tuple[float, float]:
        pair = WithVariance(FromV(Scaled(), Cosine()))
        loss = objective(pair, {"x_0": x_0}, torch.Generator().manual_seed(2)).mean()
        gain, log_ratio = torch.autograd.grad(
            loss, list(pair.parameters())[::-1], allow_unused=True, materialize_grads=True
        )
        return gain.item(), log_ratio.item()

    plain = gradients(Denoising())
    first, second = gradients(Hybrid(share=0.1)), gradients(Hybrid(share=0.2))
    assert plain[1] == 0 and first[1] != 0
    assert first[0] == pytest.approx(plain[0]) and second[0] == pytest.approx(plain[0])
    assert second[1] == pytest.approx(2 * first[1])


def test_padding_has_no_effect() -> None:
    x_0, lengths = torch.randn(2, 1, 8, dtype=torch.float64), torch.tensor([5, 8])
    batch = {"x_0": x_0, "lengths": lengths}

    class Blind(Two):
        def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
            return super().forward(x.nan_to_num(), time, cond)

    def loss() -> tuple[Tensor, Tensor]:
        pair = WithVariance(FromV(Blind(), RectifiedFlow()))
        found = Hybrid(steps=4)(pair, batch, torch.Generator().manual_seed(2))
        found.sum().backward()
        return found.detach(), next(pair.parameters()).grad

    before = loss()
    x_0[0, :, 5:] = torch.nan
    for mine, other in zip(before, loss(), strict=True):
        torch.testing.assert_close(mine, other)
        assert mine.isfinite().all()


class Perceptron(nn.Module):
    """(B, 1) and time to (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
        )

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        angle = 1.5 * time[:, None]
        return self.layers(torch.cat([x, angle.sin(), angle.cos()], dim=1))


def test_a_network_learns_the_variance_of_a_mixture() -> None:
    torch.manual_seed(0)
    schedule = Cosine()
    pair = WithVariance(FromV(Perceptron(), schedule))
    optimizer = torch.optim.Adam(pair.parameters(), 5e-3)
    generator, objective = torch.Generator().manual_seed(0), Hybrid(share=1.0)
    for step in range(800):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 800)
        x_0 = MIXTURE.sample((256, 1), generator).float()
        optimizer.zero_grad()
        objective(pair, {"x_0": x_0}, generator).mean().backward()
        optimizer.step()
    for level in (0.2, 0.5, 0.8):
        t = tensor(level)
        x_0 = MIXTURE.sample((4000, 1), generator)
        x = schedule.alpha(t) * x_0 + schedule.sigma(t) * torch.randn_like(x_0)
        _, exact = MixtureMoments(
            MIXTURE.weights, MIXTURE.means, MIXTURE.deviations, schedule
        ).moments(x, t)
        _, found = pair.moments(x.float(), t.float())
        # the variance of Gaussian data, of deviation 1, is what the network begins with
        start = schedule.sigma(t) ** 2
        error, before = ((v / exact).log().abs().mean() for v in (found, start))
        assert error < 0.65 * before, (level, error, before)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="steps is 0"):
        Hybrid(steps=0)
    with pytest.raises(ValueError, match="share is -1"):
        Hybrid(share=-1.0)
    with pytest.raises(ValueError, match="is a FromV; expected a MomentDenoiser"):
        Hybrid()(FromV(Two(), Cosine()), {"x_0": torch.zeros(1, 1, 2)}, torch.Generator())
