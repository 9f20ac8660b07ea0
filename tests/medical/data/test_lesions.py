"""Small structures: number, size, sign and height as asked for, and alike in repeated slices."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import label

from diff_medical.data.lesions import Lesions, draw_lesions

SLICES = torch.arange(5).expand(16, 5)


def drawn(lesions: Lesions, slices: torch.Tensor = SLICES, size: int = 96, seed: int = 0):
    like = torch.zeros(len(slices), 5, size, size)
    return draw_lesions(like, slices, lesions, torch.Generator().manual_seed(seed))


def test_one_lesion_has_its_width_and_height() -> None:
    """A ball of 6 voxels across has its contrast in the middle, and area and volume of a ball."""
    one = Lesions(share=1.0, count=(1, 1), width=(6.0, 6.0), depth=(6.0, 6.0), contrast=(3.0, 3.0))
    added, where = drawn(one)
    signs = set()
    for bump, inside in zip(added, where, strict=True):
        signs.add(float(bump.sum().sign()))
        assert float(bump.abs().max()) == pytest.approx(3.0, rel=1e-3)
        torch.testing.assert_close(bump.abs(), 3.0 * inside)
        spots, count = label(inside.amax(0) > 0.5)
        assert count == 1
        area = float(inside.sum((1, 2)).max())
        assert area <= 1.15 * torch.pi * 9  # less where the plane or the field cuts it
    assert signs == {-1.0, 1.0}


def test_share_and_count() -> None:
    many = torch.arange(5).expand(200, 5)
    _added, where = drawn(Lesions(share=0.3), many, 48)
    share = float((where.flatten(1).amax(1) > 0).double().mean())
    assert 0.2 < share < 0.4
    assert not drawn(Lesions(share=0.0))[1].any()
    small = Lesions(share=1.0, count=(4, 4), width=(2.0, 2.0), depth=(6.0, 6.0))
    spots = [label(inside.amax(0).numpy() > 0.5)[1] for inside in drawn(small)[1]]
    assert max(spots) == 4 and min(spots) >= 2  # some overlap


def test_repeated_slices_are_alike() -> None:
    repeated = torch.tensor([[0, 0, 1, 2, 2]]).expand(8, 5)
    added, _where = drawn(Lesions(share=1.0), repeated)
    assert torch.equal(added[:, 0], added[:, 1]) and torch.equal(added[:, 3], added[:, 4])


def test_lesions_lie_in_what_is_bright() -> None:
    like = torch.zeros(8, 5, 64, 64)
    like[:, :, :, 32:] = 1.0
    tiny = Lesions(share=1.0, width=(1.0, 1.0), depth=(1.0, 1.0))
    _added, where = draw_lesions(like, SLICES[:8], tiny, torch.Generator().manual_seed(0))
    assert where[..., 33:].any() and not where[..., :31].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.5}, "share must be a probability in [0, 1], got 1.5"),
        ({"width": (3.0, 2.0)}, "width must be a range of positive numbers, got 3.0, 2.0"),
        ({"contrast": (0.0, 2.0)}, "contrast must be a range"),
        ({"weight": -1.0}, "weight must be at least 0, got -1.0"),
    ],
)
def test_bad_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError) as caught:
        Lesions(**settings)
    assert message in str(caught.value)
