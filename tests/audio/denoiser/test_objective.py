from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diff_audio.denoiser.network import BandUNet
from diff_audio.denoiser.training.objective import Enhancement, si_sdr_loss
from diff_audio.metrics import si_sdr
from diff_audio.spectra.stft import Spectral
from diff_core.bridge import SchroedingerBridge
from diff_core.condition import Condition
from diff_core.denoiser import FromX0
from diff_core.schedule import RectifiedFlow


class Spy(nn.Module):
    """Keeps what it is called with and returns y."""

    def forward(self, x: Tensor, time: Tensor, cond: Condition) -> Tensor:
        assert cond.channels is not None
        self.x, self.time, self.y = x, time, cond.channels
        return cond.channels


def batch(size: int = 4, length: int = 8000, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    envelope = (torch.arange(length) / 1600).sin().abs()
    clean = 0.05 * envelope * torch.randn(size, length, generator=generator)
    return {"clean": clean, "noisy": clean + 0.02 * torch.randn(size, length, generator=generator)}


def test_si_sdr_loss_is_minus_the_score() -> None:
    data = batch()
    loss = si_sdr_loss(data["clean"], data["noisy"])
    for row in range(4):
        clean, noisy = (data[k][row].double() for k in ("clean", "noisy"))
        # The score removes the mean; give it waves without one.
        expected = si_sdr((clean - clean.mean()).numpy(), (noisy - noisy.mean()).numpy())
        assert -loss[row].item() == pytest.approx(expected, abs=0.02)


def test_si_sdr_loss_ignores_silence_and_is_bounded() -> None:
    wave = torch.randn(1, 1000)
    assert si_sdr_loss(torch.zeros(1, 1000), wave).item() == 0
    assert si_sdr_loss(0.1 * wave, wave).item() == pytest.approx(-40, abs=0.01)


def test_perfect_estimate_costs_nothing_but_its_si_sdr() -> None:
    data, objective = batch(), Enhancement()
    x_0 = objective.spectral.analysis(data["clean"])
    loss = objective.loss(data["clean"], x_0, x_0)
    torch.testing.assert_close(loss, torch.full((4,), -0.02 * 40), atol=1e-2, rtol=0)
    assert (objective.loss(data["clean"], x_0, 1.1 * x_0) > loss + 0.01).all()


def test_terms_are_as_stated() -> None:
    data = batch(1)
    spectral = Spectral()
    x_0, y = (spectral.analysis(data[k]).double().numpy()[0] / 0.15 for k in ("clean", "noisy"))
    c, c_hat = x_0[0] + 1j * x_0[1], y[0] + 1j * y[1]
    expected = (
        20 * np.mean(np.abs(c - c_hat) ** 2)
        + 30 * np.mean((np.abs(c) ** 0.6 - np.abs(c_hat) ** 0.6) ** 2)
        + 0.02 * si_sdr_loss(data["clean"], data["noisy"]).item()
    )
    estimate = spectral.analysis(data["noisy"])
    loss = Enhancement().loss(data["clean"], spectral.analysis(data["clean"]), estimate)
    assert loss.item() == pytest.approx(expected, rel=1e-3)


def test_state_lies_on_the_bridge_and_t_is_often_one() -> None:
    spy, bridge = Spy(), SchroedingerBridge(c=0.1)
    data, objective = batch(256, 1024), Enhancement(one_step=0.6, t_min=0.2)
    objective(FromX0(spy, bridge), data, torch.Generator().manual_seed(0))
    ones = spy.time == 1
    assert 0.5 < ones.float().mean() < 0.7
    assert 0.2 <= spy.time.min() < 0.3 and spy.time[~ones].max() > 0.9
    assert torch.equal(spy.x[ones], spy.y[ones])  # no noise at the noisy end
    x_0 = objective.spectral.analysis(data["clean"])
    t = spy.time[~ones][:, None, None, None]
    mean = bridge.alpha(t) * x_0[~ones] + bridge.shift(t) * spy.y[~ones]
    standardised = (spy.x[~ones] - mean) / bridge.sigma(t)
    assert abs(standardised.mean().item()) < 0.02
    assert standardised.std().item() == pytest.approx(1, abs=0.02)


def test_randomness_comes_from_the_generator_alone() -> None:
    torch.manual_seed(0)
    network = BandUNet(channels=(4, 4), width=8, dilations=(1,), embedding=8)
    nn.init.normal_(network.head.weight, std=0.1)
    denoiser, objective = FromX0(network, SchroedingerBridge()), Enhancement()
    losses = []
    for state in (5, 6):
        torch.manual_seed(state)
        losses.append(objective(denoiser, batch(), torch.Generator().manual_seed(1)))
    assert torch.equal(*losses)
    assert losses[0].shape == (4,)
    other = objective(denoiser, batch(), torch.Generator().manual_seed(2))
    assert not torch.equal(losses[0], other)


def test_gradients_are_finite_with_silent_and_untouched_items() -> None:
    torch.manual_seed(0)
    network = BandUNet(channels=(4, 4), width=8, dilations=(1,), embedding=8)
    data = batch()
    data["clean"][0] = 0
    data["noisy"][1] = data["clean"][1]
    data["clean"][2], data["noisy"][2] = 0, 0
    loss = Enhancement()(FromX0(network, SchroedingerBridge()), data, torch.Generator())
    assert torch.isfinite(loss).all()
    loss.mean().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.slow
def test_overfits_one_batch() -> None:
    torch.manual_seed(0)
    network = BandUNet(channels=(8, 12), width=32, dilations=(1, 2), embedding=16)
    denoiser, data = FromX0(network, SchroedingerBridge(c=0.04)), batch(2, 6400)
    objective = Enhancement(one_step=1.0)
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3)
    before = si_sdr_loss(data["clean"], data["noisy"]).mean()
    for step in range(100):
        optimizer.zero_grad()
        objective(denoiser, data, torch.Generator().manual_seed(step)).mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        y = objective.spectral.analysis(data["noisy"])
        wave = objective.spectral.synthesis(
            denoiser(y, torch.ones(2), Condition(channels=y)), 6400
        )
    assert si_sdr_loss(data["clean"], wave).mean() < before - 6  # dB


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="one_step"):
        Enhancement(one_step=1.5)
    with pytest.raises(ValueError, match="RectifiedFlow"):
        Enhancement()(FromX0(Spy(), RectifiedFlow()), batch(), torch.Generator())
