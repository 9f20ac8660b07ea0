"""The slice network: identity without noise, finite reach, rebuilt from its file, learns."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from diff_core.io import Card, load, save
from diff_core.train import TrainConfig, train
from diff_medical.enhancer.training.objective import SlabDenoising
from diff_medical.slices.network import (
    NETWORK_TYPES,
    SIGMA_MAX,
    SlabNetwork,
    in_full,
    slab_denoiser,
)


def noisy_denoiser(shuffle: int = 1, blocks: int | tuple[int, ...] = 1) -> torch.nn.Module:
    """Small, with a last layer that is not zero, so that it does something."""
    torch.manual_seed(0)
    denoiser = slab_denoiser(channels=(8, 12, 16), blocks=blocks, shuffle=shuffle)
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return denoiser


@pytest.mark.parametrize("shuffle", [1, 2])
@pytest.mark.parametrize("size", [(16, 16), (17, 30), (5, 9)])
def test_shape_is_kept(shuffle: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size)
    result = noisy_denoiser(shuffle)(x, torch.tensor([0.1, 0.9]))
    assert result.shape == x.shape
    assert not torch.allclose(result, x, atol=1e-3)


def test_no_noise_returns_the_input_exactly() -> None:
    x = torch.randn(3, 5, 12, 12)
    assert torch.equal(noisy_denoiser()(x, torch.tensor(0.0)), x)


def test_little_noise_moves_the_input_by_little() -> None:
    x = torch.rand(1, 5, 16, 16)
    denoiser = noisy_denoiser()
    with torch.no_grad():
        moved = [
            float((denoiser(x, torch.tensor(t)) - x).abs().max()) for t in (1e-2, 1e-3, 1e-4, 1e-5)
        ]
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < 1e-4


def test_untrained_is_the_best_linear_shrinkage() -> None:
    x = torch.randn(1, 5, 8, 8)
    sigma, data = 0.3, 0.5
    result = slab_denoiser(channels=(8, 8), blocks=1)(x, torch.tensor(sigma / SIGMA_MAX))
    torch.testing.assert_close(result, x * data**2 / (data**2 + sigma**2))


@pytest.mark.parametrize(("shuffle", "blocks"), [(1, 1), (2, 1), (1, (1, 2, 3))])
def test_reach_bounds_the_receptive_field(shuffle: int, blocks: int | tuple[int, ...]) -> None:
    network = noisy_denoiser(shuffle, blocks).network
    size = 2 * network.reach + 64
    x = torch.randn(1, 5, 8, size, requires_grad=True)
    middle = size // 2
    network(x, torch.tensor([-0.5]))[..., middle].sum().backward()
    seen = x.grad.abs().sum((0, 1, 2)).nonzero().flatten() - middle
    assert seen.abs().max() <= network.reach
    assert seen.abs().max() > network.reach / 3  # the bound is not idle


def test_one_row_does_not_depend_on_the_others() -> None:
    denoiser = noisy_denoiser()
    x = torch.randn(3, 5, 16, 16)
    t = torch.tensor([0.1, 0.4, 1.0])
    whole = denoiser(x, t)
    for row in range(3):
        torch.testing.assert_close(whole[row : row + 1], denoiser(x[row : row + 1], t[row]))


@pytest.mark.parametrize("blocks", [1, (1, 2, 1)])
def test_saved_and_loaded(tmp_path: Path, blocks: int | tuple[int, ...]) -> None:
    denoiser = noisy_denoiser(2, blocks)
    save(tmp_path / "net.safetensors", denoiser, Card(name="test"))
    again, card = load(tmp_path / "net.safetensors", types=NETWORK_TYPES)
    x = torch.randn(1, 5, 16, 16)
    assert card.name == "test"
    assert torch.equal(again(x, torch.tensor(0.3)), denoiser(x, torch.tensor(0.3)))


@pytest.mark.parametrize("keywords", [{"slices": 4}, {"slices": 1}, {"shuffle": 0}])
def test_bad_settings_are_named(keywords: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(keywords))):
        SlabNetwork(**keywords)


class OneBatch:
    """The same discs at every index."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
        radius = torch.tensor([0.3, 0.4, 0.5, 0.6, 0.7])[:, None, None]
        disc = ((x**2 + y**2).sqrt() < radius + 0.05 * (index % 2)).float()
        return {"x_0": disc, "slices": torch.arange(5)}


@pytest.mark.slow
def test_overfits_one_batch(tmp_path: Path) -> None:
    """Trained on two images alone, it removes nearly all of the noise from them."""
    torch.manual_seed(0)
    denoiser = slab_denoiser(channels=(16, 16), blocks=1)
    config = TrainConfig(
        steps=350, batch_size=4, learning_rate=4e-3, warmup=10, ema=0.9, checkpoint_every=1000
    )
    objective = SlabDenoising(low=0.1, high=0.3, middle=(0.1, 0.3), correlated=0.0)
    trained = train(denoiser, objective, OneBatch(), config, directory=tmp_path)
    clean = torch.stack([OneBatch()[0]["x_0"], OneBatch()[1]["x_0"]])
    noisy = clean + 0.2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        left = (trained(noisy, torch.tensor(0.2 / SIGMA_MAX)) - clean).square().mean()
    assert left < 0.15 * 0.2**2


def test_a_narrow_precision_can_be_left_for_differences() -> None:
    """Also: where none is asked for, the autocast around the network (of training) goes on."""
    denoiser = noisy_denoiser()
    x, time = torch.rand(1, 5, 16, 16), torch.tensor([0.5])
    exact = denoiser(x, time)
    with torch.autocast("cpu", torch.bfloat16):
        assert not torch.equal(denoiser(x, time), exact)
    denoiser.network.narrow = torch.bfloat16
    assert not torch.equal(denoiser(x, time), exact)
    with in_full(denoiser.network):
        assert torch.equal(denoiser(x, time), exact)
    assert denoiser.network.narrow is torch.bfloat16
    with in_full(torch.nn.Identity()):
        pass
