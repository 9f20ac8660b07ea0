"""The stages: what they diffuse comes back, and what they draw has the law of their denoiser."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diff_core.condition import Condition
from diff_core.discrete import Absorbing, CategoricalDenoiser
from diff_core.io import Card, load, save
from diff_medical.brain.borders import TEMPERATURE, draw_labels
from diff_medical.brain.folds import freedom
from diff_medical.brain.fractions import fractions
from diff_medical.brain.model import NETWORK_TYPES, STAGES
from diff_medical.brain.stage import Gains
from diff_medical.brain.training.statistics import fit
from tiny_brain import GRID, people, stage

PEOPLE = people(5)


def fitted(name: str, *, silent: bool = False) -> Any:
    made = stage(name, silent=silent)
    fit(made, PEOPLE)
    return made


def test_anatomy_comes_back_and_has_unit_variance() -> None:
    made, shares = fitted("anatomy"), fractions(PEOPLE.labels, 8)
    x = made.encode(shares)
    assert x.shape == (5, made.count, *GRID.cells(16))
    torch.testing.assert_close(made.decode(x), shares, atol=1e-5, rtol=0)
    both = torch.cat([x, made.encode(shares.flip(-3))])
    torch.testing.assert_close(both.mean(0), torch.zeros_like(both[0]), atol=1e-3, rtol=0)
    free = made.get_buffer("scale") > 0
    assert both[:, free].square().mean().item() == pytest.approx(1, abs=1e-3)
    words = made.measured(shares)
    assert words.mean(0).abs().max() < 1e-3
    # the first word grows with the ventricles
    inner = shares[:, 0, :, 1:3, :].mean((1, 2, 3))
    assert torch.equal(words[:, 0].argsort(), inner.argsort())


@pytest.mark.parametrize(("name", "factor"), [("lobes", 4), ("folds", 2)])
def test_finer_cells_come_back(name: str, factor: int) -> None:
    made, shares = fitted(name), fractions(PEOPLE.labels, factor)
    coarse, x = made.encode(shares)
    torch.testing.assert_close(coarse, fractions(PEOPLE.labels, 2 * factor))
    torch.testing.assert_close(made.decode(coarse, x), shares, atol=1e-5, rtol=0)


def test_noise_falls_only_where_detail_can_be() -> None:
    # the parts of a cell that is half of a tissue are 0 or 1 alike: variance 1/4, and 8/7 of it
    # for each of seven subbands
    half = torch.full((1, 5, 1, 1, 1), 0.5)
    assert freedom(half, 64)[0, 0].item() == pytest.approx((8 / 7 / 4) ** 0.5)
    one = torch.zeros(1, 5, 2, 2, 2)
    one[:, 2] = 1
    assert not freedom(one, 64).any()
    voxel = torch.full((1, 5, 1, 1, 1), 1 / 64)
    assert (freedom(voxel, 64) > 0).all()
    made, shares = fitted("folds"), fractions(PEOPLE.labels, 2)
    coarse, x = made.encode(shares)
    free = (freedom(coarse, 64) > 0).repeat(1, 7, 1, 1, 1)
    assert x[free].square().mean().sqrt().item() == pytest.approx(1, abs=0.15)
    assert not x[~free].any() and not free.all()
    # whatever is drawn, nothing leaves 0 and 1 in a cell of one class
    noisy = made.decode(coarse, torch.randn_like(x))
    fixed = (freedom(coarse, 64) == 0).repeat_interleave(2, 2).repeat_interleave(2, 3)
    fixed = fixed.repeat_interleave(2, 4)
    torch.testing.assert_close(noisy[fixed], shares[fixed], atol=1e-5, rtol=0)


def test_gains_hand_noise_through() -> None:
    class Halves(torch.nn.Module):
        def forward(self, x: Any, time: Any, cond: Any = None) -> torch.Tensor:
            return torch.cat([torch.full_like(x, 0.25), torch.full_like(x, -3.0)], 1)

    x = torch.randn(2, 5, 2, 3, 4)
    torch.testing.assert_close(Gains(Halves())(x, torch.zeros(2)), 0.25 - 3 * x)


def test_what_all_people_share_is_not_drawn() -> None:
    made, shares = fitted("anatomy"), fractions(PEOPLE.labels, 8)
    same = made.get_buffer("scale") == 0
    assert same.any() and not same.all()
    drawn = made.encode(made.sample([1, 2], 2))
    assert not drawn[:, same].any()
    cond = Condition(vector=torch.zeros(1, 3), channels=made.position(1))
    x = torch.randn(1, made.count, *made.whole)
    assert not made(x, torch.tensor(0.01), cond)[:, same].any()
    assert torch.equal(
        made.encode(shares)[:, same], torch.zeros_like(drawn[:1, same].expand(5, -1))
    )


def test_appearance_comes_back() -> None:
    made, image = fitted("appearance"), PEOPLE.images.float()
    x = made.encode(image, PEOPLE.labels)
    torch.testing.assert_close(made.decode(x, PEOPLE.labels), image, atol=1e-5, rtol=0)
    assert made.measured(PEOPLE.contrast).mean(0).abs().max() < 1e-4
    assert PEOPLE.contrast[:, 2] == pytest.approx(1)


@pytest.mark.parametrize("name", ["lobes", "folds", "borders", "appearance"])
def test_channels_of_a_crop_are_those_of_the_whole(name: str) -> None:
    made = stage(name)
    if name == "appearance":
        whole = made.channels(PEOPLE.labels)
        crop = made.channels(PEOPLE.labels[:, 4:12, 8:16, 2:10], (2, 4, 1))
    else:
        shares = fractions(PEOPLE.labels, {"lobes": 8, "folds": 4, "borders": 2}[name])
        noise = torch.randn_like(shares)
        whole = made.channels(shares, noise)
        part = (..., slice(1, 2), slice(1, 4), slice(0, 2))
        crop, where = made.channels(shares[part], noise[part], (1, 1, 0)), part
        torch.testing.assert_close(crop, whole[where])
        return
    torch.testing.assert_close(crop, whole[..., 2:6, 4:8, 1:5])


@pytest.mark.parametrize("name", ["anatomy", "lobes", "folds", "appearance"])
def test_a_silent_network_draws_standard_normal_numbers(name: str) -> None:
    # F = 0 is D = x / (1 + sigma^2): the exact denoiser of independent standard normal numbers
    made = stage(name, silent=True)
    shape = getattr(made, "whole", (6, 6, 6))  # all channels at 1: all cells are free
    cond = Condition(
        vector=torch.zeros(8, made.words) if made.words else None,
        channels=torch.ones(8, made.given, *shape),
    )
    x = made.drawn(shape, range(8), 24, cond, stream=-1)
    assert x.mean().abs() < 5 / x.numel() ** 0.5
    assert x.std().item() == pytest.approx(1, abs=0.03)


class Known(CategoricalDenoiser):
    """Voxels that are independent of each other: the exact denoiser of this law."""

    def __init__(self, law: torch.Tensor) -> None:
        super().__init__(Absorbing(len(law)))
        self.law = law

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, cond: Condition | None = None
    ) -> torch.Tensor:
        law = self.law[None, :, None, None, None].expand(len(x_t), -1, *x_t.shape[1:])
        return self.chain.known(law, x_t)


@pytest.mark.parametrize("steps", [1, 4])
def test_labels_have_the_law_of_the_denoiser(steps: int) -> None:
    law = torch.tensor([0.1, 0.3, 0.25, 0.2, 0.15, 0.0])
    drawn = draw_labels(Known(law), Condition(), 3, steps, torch.empty(1, 5, 12, 12, 12))
    assert drawn.shape == (1, 24, 24, 24)
    share = torch.bincount(drawn.flatten(), minlength=6) / drawn.numel()
    expected = law ** (1 / TEMPERATURE)
    expected = expected / expected.sum()
    error = (expected * (1 - expected) / drawn.numel()).sqrt()
    assert bool(((share - expected).abs() <= 4.5 * error).all())


def test_labels_in_cells_of_one_class_are_certain_for_a_network_that_reads_them() -> None:
    class Reads(CategoricalDenoiser):
        def forward(self, x_t: Any, t: Any, cond: Condition | None = None) -> torch.Tensor:
            assert cond is not None and cond.channels is not None
            shares = cond.channels[:, :5] * 0.35 + 0.2
            full = torch.cat([1 - shares.sum(1, keepdim=True), shares], 1).clamp(1e-9)
            fine = torch.nn.functional.interpolate(full, scale_factor=2)
            return self.chain.known(fine / fine.sum(1, keepdim=True), x_t)

    blocks = torch.arange(6).repeat(9)[:48].reshape(1, 4, 4, 3)
    labels = blocks.repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    shares = fractions(labels, 2)
    cond = Condition(channels=stage("borders").channels(shares, torch.zeros_like(shares)))
    assert torch.equal(draw_labels(Reads(Absorbing(6)), cond, 0, 3, shares), labels)


def test_rows_depend_on_their_seeds_alone() -> None:
    coarse = fractions(PEOPLE.labels[:3], 4)
    for name, given in (
        ("lobes", fractions(PEOPLE.labels[:3], 8)),
        ("folds", coarse),
        ("borders", fractions(PEOPLE.labels[:3], 2)),
        ("appearance", PEOPLE.labels[:3]),
    ):
        made = fitted(name)
        with torch.no_grad():
            together = made.sample(given, [4, 5, 6], 2)
            alone = made.sample(given[1:2], [5], 2)
            other = made.sample(given[1:2], [7], 2)
        torch.testing.assert_close(together[1:2], alone, atol=0.02, rtol=0)
        assert not torch.equal(alone, other)
    anatomy = fitted("anatomy")
    with torch.no_grad():
        together, alone = anatomy.sample([4, 5], 2), anatomy.sample([5], 2)
    torch.testing.assert_close(together[1:], alone, atol=0.05, rtol=0)


def test_borders_and_appearance_do_not_depend_on_the_batch_at_all() -> None:
    labels = torch.zeros_like(PEOPLE.labels[:2])
    labels[0], labels[1, 4:10, 8:14, 4:10] = PEOPLE.labels[0], 2  # boxes of different sizes
    borders, appearance = fitted("borders"), fitted("appearance")
    with torch.no_grad():
        shares = fractions(labels, 2)
        drawn = borders.sample(shares, [1, 2], 2)
        assert torch.equal(drawn[1:], borders.sample(shares[1:], [2], 2))
        assert drawn.dtype == torch.uint8 and drawn.max() <= 5
        image = appearance.sample(labels, [1, 2], 2)
        assert torch.equal(image[1:], appearance.sample(labels[1:], [2], 2))
    assert bool((image[labels == 0] == 0).all())


def test_words_that_are_drawn_have_the_covariance_of_the_people() -> None:
    made = stage("anatomy")
    covariance = torch.tensor([[1.0, 0.6, -0.5], [0.6, 1.0, -0.2], [-0.5, -0.2, 1.0]]) * 0.25
    made.keep(words_covariance=covariance)
    words = made.asked(range(4000))
    assert torch.allclose(torch.cov(words.T), covariance, atol=0.03)
    given = made.asked(range(4000), 0.8)
    assert bool((given[:, 0] == 0.8).all())
    expected = 0.8 * covariance[:, 0] / covariance[0, 0]
    assert torch.allclose(given.mean(0), expected, atol=0.03)
    assert torch.equal(made.asked([7]), words[7:8])
    with pytest.raises(ValueError, match="ventricles is 4; expected -3 to 3"):
        made.asked([0], 4)


@pytest.mark.parametrize("name", list(STAGES))
def test_a_checkpoint_holds_the_statistics(name: str, tmp_path: Path) -> None:
    made = fitted(name)
    save(tmp_path / "stage.safetensors", made, Card(name="brain"))
    again, _ = load(tmp_path / "stage.safetensors", types=NETWORK_TYPES)
    assert type(again) is type(made) and again.grid == made.grid
    expected = made.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in again.state_dict().items())


def test_a_network_of_other_channels_is_refused() -> None:
    from diff_core.schedule import Edm
    from diff_medical.brain.folds import Folds

    with pytest.raises(ValueError, match="in_channels is 40; expected 35"):
        Folds(stage("anatomy").config["network"], GRID, Edm(80.0))
