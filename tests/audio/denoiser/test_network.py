from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diff_audio.denoiser.network import BandUNet
from diff_core.condition import Condition


def small() -> BandUNet:
    torch.manual_seed(0)
    return BandUNet(bins=32, channels=(8, 12), width=16, dilations=(1, 2), embedding=16)


def trained(network: BandUNet) -> BandUNet:
    """Every parameter non-zero, so that every path of the network carries signal."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def spectra(batch: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, y = 0.1 * torch.randn(2, batch, 2, 32, frames, generator=generator)
    return x, y, torch.rand(batch, generator=generator)


def test_untrained_network_returns_the_noisy_spectrum() -> None:
    x, y, t = spectra(3, 11)
    assert torch.equal(small()(x, t, Condition(channels=y)), y)


@torch.no_grad()
def test_a_piece_with_context_equals_the_whole() -> None:
    network = trained(small())
    context = network.context
    x, y, t = spectra(1, 4 * context)
    whole = network(x, t, Condition(channels=y))
    start, stop = context + 3, context + 20
    piece = slice(start - context, stop + context)
    part = network(x[..., piece], t, Condition(channels=y[..., piece]))
    torch.testing.assert_close(
        part[..., context:-context], whole[..., start:stop], rtol=1e-4, atol=1e-6
    )


def test_context_is_exactly_the_reach_of_the_network() -> None:
    network = trained(small())
    frames = 2 * network.context + 9
    middle = frames // 2
    x, y, t = spectra(1, frames)
    y.requires_grad_()
    network(x, t, Condition(channels=y))[..., middle].square().sum().backward()
    reached = y.grad.abs().sum((0, 1, 2)).nonzero().ravel()
    # The bottom's dilations leave gaps, but the outermost frames are reached.
    assert middle - reached.min() == network.context
    assert reached.max() - middle == network.context


@torch.no_grad()
def test_rows_of_a_batch_do_not_see_each_other() -> None:
    network = trained(small())
    x, y, t = spectra(3, 20)
    batch = network(x, t, Condition(channels=y))
    for row in range(3):
        alone = network(x[row : row + 1], t[row : row + 1], Condition(channels=y[row : row + 1]))
        torch.testing.assert_close(batch[row : row + 1], alone, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_time_and_state_matter() -> None:
    network = trained(small())
    x, y, t = spectra(1, 10)
    cond = Condition(channels=y)
    reference = network(x, t, cond)
    assert (network(x, t / 2, cond) - reference).abs().max() > 1e-4
    assert (network(2 * x, t, cond) - reference).abs().max() > 1e-4


def test_config_rebuilds_the_network() -> None:
    network = trained(small())
    copy = BandUNet(**network.config)  # type: ignore[arg-type]
    copy.load_state_dict(network.state_dict())
    x, y, t = spectra(1, 10)
    assert torch.equal(copy(x, t, Condition(channels=y)), network(x, t, Condition(channels=y)))


def test_default_network_fits_its_size_in_the_wheel() -> None:
    stored = sum(p.numel() for p in BandUNet().parameters()) * 2  # float16
    assert stored <= 16e6


def test_bfloat16_stays_near_float32() -> None:
    network = trained(small())
    x, y, t = spectra(1, 10)
    exact = network(x, t, Condition(channels=y))
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(x, t, Condition(channels=y))
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() < 0.03 * (exact - y).norm()


def test_bad_settings_and_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="bins is 30"):
        BandUNet(bins=30)
    x, y, t = spectra(1, 10)
    with pytest.raises(ValueError, match=r"cond\.channels"):
        small()(x, t, None)
    with pytest.raises(ValueError, match=r"cond\.channels"):
        small()(x, t, Condition(channels=y[..., 1:]))
    with pytest.raises(ValueError, match="x must have shape"):
        small()(x[:, :, 1:], t, Condition(channels=y[:, :, 1:]))
