"""The loss: EDM's weighting in closed form; noise that is tied, stratified, of unit variance."""

import pytest
import torch
from torch import Tensor

from diff_core.denoiser import Denoiser
from diff_core.schedule import Edm
from diff_medical.data.lesions import Lesions
from diff_medical.enhancer.training.objective import (
    SlabDenoising,
    draw_sigma,
    shading,
    slab_noise,
)
from diff_medical.slices.network import SIGMA_MAX


class Bypass(Denoiser):
    """D(x_t) = x_t, so that the error is the noise itself; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(Edm(sigma_max=SIGMA_MAX))

    def forward(self, x_t: Tensor, t: Tensor, cond: object = None) -> Tensor:
        self.x_t, self.t = x_t, t
        return x_t


def batch(count: int, size: int = 32) -> dict[str, Tensor]:
    return {
        "x_0": torch.zeros(count, 5, size, size),
        "slices": torch.arange(5).expand(count, 5),
    }


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_loss_of_a_bypass_is_the_noise_over_c_out() -> None:
    """|sigma z|^2 / c_out^2 = (sigma^2 + s_d^2) / s_d^2 in the mean."""
    objective = SlabDenoising(correlated=0.0)
    denoiser = Bypass()
    loss = objective(denoiser, batch(64, 64), generator())
    sigma = denoiser.schedule.sigma(denoiser.t)
    expected = (sigma**2 + objective.sigma_data**2) / objective.sigma_data**2
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0)
    assert loss.shape == (64,)


def test_a_perfect_denoiser_has_no_loss() -> None:
    class Oracle(Bypass):
        def forward(self, x_t: Tensor, t: Tensor, cond: object = None) -> Tensor:
            return torch.zeros_like(x_t)

    assert SlabDenoising()(Oracle(), batch(4), generator()).eq(0).all()


def test_outer_slices_count_less() -> None:
    class WrongAtTheEnd(Bypass):
        def forward(self, x_t: Tensor, t: Tensor, cond: object = None) -> Tensor:
            result = torch.zeros_like(x_t)
            result[:, self.position] = t[:, None, None]
            return result

    denoiser = WrongAtTheEnd()
    losses = []
    for denoiser.position in (0, 2, 4):
        losses.append(SlabDenoising(outer=0.25)(denoiser, batch(4), generator()))
    torch.testing.assert_close(losses[0], 0.25 * losses[1])
    torch.testing.assert_close(losses[2], 0.25 * losses[1])


def test_noise_levels_span_the_range_in_every_batch() -> None:
    objective = SlabDenoising(low=0.01, high=0.1, middle=(0.01, 0.1))
    for seed in range(20):
        sigma = draw_sigma(10, objective, generator(seed))
        strata = ((sigma / 0.01).log10() * 10).floor().sort().values
        assert strata.tolist() == list(range(10))


def test_repeated_slices_get_the_same_noise() -> None:
    like = torch.zeros(2, 5, 16, 16)
    slices = torch.tensor([[0, 0, 1, 2, 2], [0, 1, 2, 3, 4]])
    noise = slab_noise(like, slices, 0.5, generator())
    assert torch.equal(noise[0, 0], noise[0, 1])
    assert torch.equal(noise[0, 3], noise[0, 4])
    assert not torch.equal(noise[0, 1], noise[0, 2])
    assert len({tuple(row.flatten().tolist()) for row in noise[1]}) == 5


def test_noise_has_unit_variance_white_or_not() -> None:
    like, slices = torch.zeros(40, 5, 64, 64), torch.arange(5).expand(40, 5)
    for share in (0.0, 1.0):
        noise = slab_noise(like, slices, share, generator())
        torch.testing.assert_close(noise.var((1, 2, 3)), torch.ones(40), rtol=0.08, atol=0)
        lag_one = (noise[..., 1:] * noise[..., :-1]).mean((1, 2, 3))
        assert (lag_one.abs().max() < 0.03) == (share == 0.0)


def test_the_same_generator_gives_the_same_loss() -> None:
    denoiser = Bypass()
    losses = [SlabDenoising()(denoiser, batch(4), generator(3)) for _ in range(2)]
    assert torch.equal(*losses)
    assert not torch.equal(losses[0], SlabDenoising()(denoiser, batch(4), generator(4)))


def test_bfloat16_changes_the_loss_by_rounding_only() -> None:
    from diff_core.train.precision import forward_in
    from diff_medical.slices.network import slab_denoiser

    torch.manual_seed(0)
    denoiser = slab_denoiser(channels=(8, 16), blocks=1)
    torch.nn.init.normal_(denoiser.network.unet.head.weight, std=0.05)
    x = batch(4) | {"x_0": torch.rand(4, 5, 32, 32, generator=generator())}
    exact = SlabDenoising()(denoiser, x, generator())
    with forward_in(denoiser, torch.bfloat16, torch.device("cpu")):
        rounded = SlabDenoising()(denoiser, x, generator())
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0)
    assert not torch.equal(rounded, exact)


def test_a_worse_scan_is_given_as_it_is_with_its_own_sigma() -> None:
    """Where sigma is given no noise is added; the rest is treated as ever."""
    objective = SlabDenoising(correlated=0.0)
    denoiser, plain = Bypass(), batch(4)
    worse = 0.03 * torch.randn(4, 5, 32, 32, generator=generator(1))
    given = torch.tensor([0.05, 0.0, 2.0, 0.0])
    loss = objective(denoiser, plain | {"y": worse, "sigma": given}, generator())
    sigma = denoiser.schedule.sigma(denoiser.t)
    expected = torch.tensor([0.05, 0, objective.high, 0])
    torch.testing.assert_close(sigma[[0, 2]], expected[[0, 2]], rtol=1e-4, atol=0)
    assert torch.equal(denoiser.x_t[[0, 2]], worse[[0, 2]])
    assert (denoiser.x_t[[1, 3]] - worse[[1, 3]]).std() > 0.003
    out = sigma * 0.5 / torch.hypot(sigma, torch.full_like(sigma, 0.5))
    weights = torch.tensor([0.3, 1, 1, 1, 0.3]) / 3.6
    by_hand = worse[0].square().mean((1, 2)) @ weights / out[0] ** 2
    torch.testing.assert_close(loss[0], by_hand, rtol=1e-4, atol=0)


def test_a_batch_that_says_nothing_of_noise_is_as_one_of_sigma_0() -> None:
    one, two = Bypass(), Bypass()
    plain = batch(4)
    told = plain | {"y": plain["x_0"], "sigma": torch.zeros(4)}
    assert torch.equal(
        SlabDenoising()(one, plain, generator()), SlabDenoising()(two, told, generator())
    )
    assert torch.equal(one.x_t, two.x_t)


def test_zero_filled_noise_has_nothing_outside_its_band_and_unit_variance() -> None:
    like, slices = torch.zeros(24, 5, 64, 64), torch.arange(5).expand(24, 5)
    noise = slab_noise(like, slices, 0.0, generator(), zero_filled=1.0)
    torch.testing.assert_close(noise.std((1, 2, 3)), torch.ones(24), rtol=0.05, atol=0)
    power = torch.fft.fft2(noise).abs().square().mean(1)
    lines = [power.amax(2), power.amax(1)]  # along H, along W
    shares = torch.stack([(line > 1e-3 * line.amax(1, True)).double().mean(1) for line in lines])
    narrow = shares.amin(0)
    assert float(narrow.min()) >= 0.43 and float(narrow.max()) < 1.0
    assert bool((shares.amax(0) == 1.0).any())  # many are filled along one axis only
    white = slab_noise(like, slices, 0.0, generator())
    assert bool((torch.fft.fft2(white).abs().square().mean(1) > 1e-3).all())


def test_shading_is_smooth_positive_and_only_where_noise_is_added() -> None:
    like = torch.ones(32, 5, 48, 48)
    factor = shading(like, 0.5, generator())
    shaded = (factor != 1).flatten(1).any(1)
    assert 8 <= int(shaded.sum()) <= 24
    assert float(factor.min()) > 0.25 and float(factor.max()) < 4.0
    assert float((factor[:, :, 1:] / factor[:, :, :-1]).log().abs().max()) < 0.1
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))  # alike in all slices
    denoiser = Bypass()
    given = torch.tensor([0.0, 0.1]).repeat(8)
    data = {
        "x_0": torch.ones(16, 5, 32, 32), "slices": torch.arange(5).expand(16, 5),
        "y": torch.ones(16, 5, 32, 32), "sigma": given,
    }  # fmt: skip
    SlabDenoising(shading=1.0)(denoiser, data, generator())
    assert bool((denoiser.x_t[given > 0] == 1).all())


def test_lesions_are_in_the_target_and_weigh_more() -> None:
    """A network that gives back y makes an error where noise is, and none where lesions are."""
    lesions = Lesions(share=1.0, contrast=(50.0, 50.0), weight=3.0)
    denoiser = Bypass()
    clean = batch(8, 64)
    clean["sigma"] = torch.full((8,), 0.1)
    clean["y"] = clean["x_0"]
    assert SlabDenoising(lesions=lesions)(denoiser, clean, generator()).eq(0).all()
    assert float(denoiser.x_t.abs().amax((1, 2, 3)).min()) > 2.0  # 50 sigma, but partial volumes

    class Zero(Bypass):
        def forward(self, x_t: Tensor, t: Tensor, cond: object = None) -> Tensor:
            return torch.zeros_like(x_t)

    losses = []
    for weight in (0.0, 3.0):
        objective = SlabDenoising(lesions=Lesions(share=1.0, contrast=(2.0, 2.0), weight=weight))
        losses.append(objective(Zero(), batch(8, 64), generator()))
    ratio = losses[1] / losses[0]
    assert bool((ratio > 2.0).all()) and bool((ratio < 4.0).all())


def test_probabilities_are_checked() -> None:
    with pytest.raises(ValueError, match="shading is 1.5; expected a probability"):
        SlabDenoising(shading=1.5)
