"""Slabs to volumes: no seams, no preferred direction, nothing at zero noise."""

import pytest
import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, FromX0
from diff_core.schedule import Edm
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import SIGMA_MAX, slab_denoiser


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    """Two levels, every weight at work; its receptive field is some 20 pixels."""
    torch.manual_seed(0)
    made = slab_denoiser(channels=(6, 8), blocks=1)
    for parameter in made.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.15)
    return made


def volume(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def test_no_noise_returns_the_volume(denoiser: Denoiser) -> None:
    x = volume(8, 9, 7)
    result = posterior_mean(denoiser, x, 0.0)
    assert torch.equal(result, x)
    assert result is not x


def test_noise_to_zero_goes_to_the_volume(denoiser: Denoiser) -> None:
    x = volume(12, 12, 12)
    torch.testing.assert_close(posterior_mean(denoiser, x, 1e-6), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(7, 100, 61), (6, 64, 130)])
def test_tiles_make_the_whole(denoiser: Denoiser, shape: tuple[int, int, int]) -> None:
    x = volume(*shape)
    whole = posterior_mean(denoiser, x, 0.1, axes=[0], tile=1000)
    tiled = posterior_mean(denoiser, x, 0.1, axes=[0], tile=32)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    assert (whole - x).abs().max() > 0.01


def test_tiles_of_a_network_at_half_resolution_make_the_whole() -> None:
    torch.manual_seed(0)
    made = slab_denoiser(channels=(6, 8, 8), blocks=1, shuffle=2)
    nn.init.normal_(made.network.unet.head.weight, std=0.15)
    x = volume(5, 250, 40)
    whole = posterior_mean(made, x, 0.1, axes=[0], tile=1000)
    tiled = posterior_mean(made, x, 0.1, axes=[0], tile=50)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_groups_of_slabs_do_not_matter(
    denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = volume(24, 16, 16)
    whole = posterior_mean(denoiser, x, 0.1)
    monkeypatch.setattr("diff_medical.slices.mean.BATCH_PIXELS", 1)
    torch.testing.assert_close(posterior_mean(denoiser, x, 0.1), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_three_directions_commute_with_turning_the_volume(
    denoiser: Denoiser, order: tuple[int, int, int]
) -> None:
    """A network that does not know left from up: the slab's own axes are exchanged too."""

    class Symmetric(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = denoiser.network

        def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
            turned = self.inner(x.transpose(2, 3), time).transpose(2, 3)
            return self.inner(x, time) + turned

    symmetric = slab_denoiser(channels=(6, 8), blocks=1)
    inner = Symmetric()
    symmetric.network.forward = inner.forward
    x = volume(20, 16, 12)
    turned = posterior_mean(symmetric, x.permute(order), 0.1)
    straight = posterior_mean(symmetric, x, 0.1).permute(order)
    torch.testing.assert_close(turned, straight, atol=1e-5, rtol=0)


def test_the_average_is_that_of_the_single_directions(denoiser: Denoiser) -> None:
    x = volume(14, 10, 12)
    single = [posterior_mean(denoiser, x, 0.1, axes=[a], stride=3) for a in range(3)]
    torch.testing.assert_close(
        posterior_mean(denoiser, x, 0.1, (1.0, 1.0, 1.5)), torch.stack(single).mean(0)
    )


def test_thick_slices_are_stacked_along_the_thick_axis_only(denoiser: Denoiser) -> None:
    x = volume(14, 10, 12)
    thick = posterior_mean(denoiser, x, 0.1, (0.5, 3.0, 0.5))
    assert torch.equal(thick, posterior_mean(denoiser, x, 0.1, axes=[1], stride=1))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("depth", [1, 2, 4, 5, 6, 11, 13])
def test_every_slice_is_the_mean_of_its_windows(
    denoiser: Denoiser, stride: int, depth: int
) -> None:
    """Against a plain loop over windows that shares no code with the package."""
    x = volume(depth, 8, 8)
    if depth <= 5:
        before = (5 - depth) // 2
        index = [min(max(i - before, 0), depth - 1) for i in range(5)]
        windows = [(index, [index.index(i) for i in range(depth)])]
    else:
        starts = sorted({*range(0, depth - 4, stride), depth - 5})
        windows = [
            (
                list(range(s, s + 5)),
                [p for p in range(5) if 1 <= p <= 3 or s + p in (0, depth - 1)],
            )
            for s in starts
        ]
    found: list[list[Tensor]] = [[] for _ in range(depth)]
    with torch.no_grad():
        for index, kept in windows:
            estimate = denoiser(x[index][None], torch.tensor(0.1 / SIGMA_MAX))[0]
            for position in kept:
                found[index[position]].append(estimate[position])
    expected = torch.stack([torch.stack(planes).mean(0) for planes in found])
    result = posterior_mean(denoiser, x, 0.1, axes=[0], stride=stride)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=1e-5)


def test_more_noise_than_the_network_knows_is_scaled_into_its_range(denoiser: Denoiser) -> None:
    x = volume(8, 8, 8)
    result = posterior_mean(denoiser, x, 4 * SIGMA_MAX)
    torch.testing.assert_close(result, 4 * posterior_mean(denoiser, x / 4, SIGMA_MAX))


def test_progress_rises_to_one(denoiser: Denoiser) -> None:
    shares: list[float] = []
    posterior_mean(denoiser, volume(12, 12, 12), 0.1, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_input_is_left_alone(denoiser: Denoiser) -> None:
    x = volume(9, 9, 9)
    before = x.clone()
    posterior_mean(denoiser, x, 0.2)
    assert torch.equal(x, before)


def test_bad_arguments_are_named(denoiser: Denoiser) -> None:
    x = volume(6, 6, 6)
    with pytest.raises(ValueError, match="volume is"):
        posterior_mean(denoiser, x[0], 0.1)
    with pytest.raises(ValueError, match="sigma is -1"):
        posterior_mean(denoiser, x, -1)
    with pytest.raises(ValueError, match="sigma is nan"):
        posterior_mean(denoiser, x, float("nan"))
    with pytest.raises(ValueError, match="axes is"):
        posterior_mean(denoiser, x, 0.1, axes=[3])
    with pytest.raises(ValueError, match="SlabNetwork"):
        posterior_mean(FromX0(nn.Identity(), Edm(sigma_max=SIGMA_MAX)), x, 0.1)
