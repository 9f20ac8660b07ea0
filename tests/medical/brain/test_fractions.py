"""Label maps at coarser grids, and the places of crops."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diff_medical.brain.fractions import (
    fractions,
    from_cells,
    head_box,
    one_hot,
    simplex,
    to_cells,
)
from diff_medical.brain.grid import Grid
from diff_medical.brain.places import coordinates, waves
from tiny_brain import GRID, head


def labels() -> torch.Tensor:
    return torch.from_numpy(np.stack([head(0), head(1)]))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_fractions_are_shares_of_voxels(factor: int) -> None:
    shares = fractions(labels(), factor)
    assert shares.shape == (2, 5, *GRID.cells(factor))
    i, j, k = 1, GRID.cells(factor)[1] // 2, GRID.cells(factor)[2] // 2
    cell = labels()[1, *(slice(factor * a, factor * (a + 1)) for a in (i, j, k))]
    for kind in range(1, 6):
        assert shares[1, kind - 1, i, j, k] == (cell == kind).float().mean()
    air = F.avg_pool3d((labels() == 0).float()[:, None], factor)[:, 0]
    torch.testing.assert_close(shares.sum(1) + air, torch.ones_like(air))


def test_coarse_fractions_are_means_of_fine_ones() -> None:
    fine = fractions(labels(), 2)
    torch.testing.assert_close(F.avg_pool3d(fine, 2), fractions(labels(), 4))


def test_cells_hold_the_voxels_of_a_cell_and_come_back() -> None:
    x = torch.randn(2, 3, 4, 6, 8)
    cells = to_cells(x)
    assert cells.shape == (2, 24, 2, 3, 4)
    block = x[1, 2, 2:4, 4:6, 6:8]
    assert torch.equal(cells[1, 16:24, 1, 2, 3], block.flatten())
    assert torch.equal(from_cells(cells), x)


def test_a_simplex_leaves_what_is_one_and_cuts_the_rest() -> None:
    shares = fractions(labels(), 2)
    torch.testing.assert_close(simplex(shares), shares)
    wild = simplex(3 * torch.randn(2, 5, 4, 4, 4))
    assert wild.min() >= 0 and wild.sum(1).max() <= 1 + 1e-6


def test_the_box_holds_the_head_and_ends_at_multiples() -> None:
    inside = torch.zeros(16, 24, 16, dtype=torch.bool)
    inside[5, 9:13, 15] = True
    box = head_box(inside, 4)
    assert box == (slice(0, 8), slice(4, 16), slice(12, 16))
    assert head_box(torch.zeros_like(inside), 4) == (slice(0, 16), slice(0, 24), slice(0, 16))


def test_a_crop_knows_its_place() -> None:
    whole = (6, 8, 10)
    crop = waves((2, 3, 4), (1, 4, 5), whole)
    assert torch.equal(crop, waves(whole, (0, 0, 0), whole)[:, :, 1:3, 4:7, 5:9])
    assert waves(whole, (0, 0, 0), whole).square().mean() == pytest.approx(1, abs=0.15)
    volume = torch.randn(1, 1, *whole)
    places = coordinates((1, 4, 5), (2, 3, 4), whole)
    read = F.grid_sample(volume, places, align_corners=False)
    torch.testing.assert_close(read, volume[:, :, 1:3, 4:7, 5:9])


def test_the_grid_of_a_head_keeps_the_origin_of_the_template() -> None:
    grid = Grid()
    for size in (0.9, 1.1):
        to_template = grid.in_template() @ np.linalg.inv(grid.in_head(size))
        assert np.allclose(to_template[:3, 3], 0)
        assert np.allclose(to_template[:3, :3], np.eye(3) / (grid.scale * size))
    assert np.linalg.det(grid.in_head(1.1)[:3, :3]) == pytest.approx((1.5 * 1.1) ** 3)


@pytest.mark.parametrize(
    ("given", "says"), [({"shape": (16, 20, 16)}, "multiples of 16"), ({"voxel": 0.0}, "above 0")]
)
def test_a_wrong_grid_is_named(given: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Grid(**given)


def test_one_hot_has_no_channel_for_air() -> None:
    hot = one_hot(labels())
    assert torch.equal(hot.sum(1) > 0, labels() > 0)
    assert torch.equal((hot * torch.arange(1, 6)[:, None, None, None]).sum(1), labels().float())
