"""An atlas of deep grey matter and cerebellum, warped smoothly to a head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from diff_medical.brain.grid import Grid

__all__ = ["Atlas", "Regions"]

CONTROL = 8  # voxels between the control points of a warp
PASSES = ((3, 30), (1, 50))  # width of the blur, steps
RATE, STIFF = 0.08, 0.004

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Regions:
    """The numbers of an atlas: deep grey matter (basal ganglia, thalamus) and cerebellum.

    The defaults are those of AAL: 71 to 78 and 91 to 116.
    """

    deep: tuple[int, int] = (71, 78)
    cerebellum: tuple[int, int] = (91, 116)

    def __post_init__(self) -> None:
        for name in ("deep", "cerebellum"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} is {low} to {high}; expected numbers above 0, in order")


@dataclass(frozen=True)
class Atlas:
    """An atlas on the grid.

    image: (X, Y, Z) the T1 that it was drawn on, white matter 1
    deep, cerebellum, other: signed distances to the regions, voxels, negative within
    """

    image: NDArray[np.float32]
    deep: NDArray[np.float32]
    cerebellum: NDArray[np.float32]
    other: NDArray[np.float32]

    @classmethod
    def on(
        cls,
        image: NDArray[np.float32],
        labels: NDArray[np.floating],
        affine: NDArray[np.float64],
        grid: Grid,
        regions: Regions = Regions(),  # noqa: B008
    ) -> Atlas:
        """Put an atlas on the grid.

        image:  (X, Y, Z) on the grid, white matter 1
        labels: (X, Y, Z) and their affine, to mm of the template

        Raises ValueError for an atlas that has nothing of a region on the grid.
        """
        move = np.linalg.inv(affine) @ grid.in_template()
        offset: Any = move[:3, 3]  # the stubs take one number alone
        drawn = ndimage.affine_transform(
            labels.astype(np.float32), move[:3, :3], offset, grid.shape, order=0
        ).round()
        deep = (drawn >= regions.deep[0]) & (drawn <= regions.deep[1])
        cerebellum = (drawn >= regions.cerebellum[0]) & (drawn <= regions.cerebellum[1])
        other = (drawn > 0) & ~deep & ~cerebellum
        return cls.of_masks(image, deep, cerebellum, other)

    @classmethod
    def of_masks(
        cls, image: NDArray[np.float32], deep: Mask, cerebellum: Mask, other: Mask
    ) -> Atlas:
        """Return the atlas of regions (X, Y, Z) on the grid.

        Raises ValueError for a region without a voxel.
        """
        for name, mask in (("deep", deep), ("cerebellum", cerebellum), ("other", other)):
            if not mask.any():
                raise ValueError(f"atlas has no voxel of {name} on the grid; check its numbers")
        return cls(image, *(_distance(mask) for mask in (deep, cerebellum, other)))

    def warped(self, head: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The distances by name, warped so that the atlas' image is like a head (X, Y, Z)."""
        read = _warp(torch.from_numpy(head), torch.from_numpy(self.image))
        return {
            name: read(torch.from_numpy(getattr(self, name))).numpy()
            for name in ("deep", "cerebellum", "other")
        }


def _distance(mask: Mask) -> NDArray[np.float32]:
    outside, inside = (ndimage.distance_transform_edt(m) for m in (~mask, mask))
    return (np.asarray(outside) - np.asarray(inside)).astype(np.float32)


def _warp(fixed: Tensor, moving: Tensor) -> Callable[[Tensor], Tensor]:
    """A reader of volumes of `moving` at the places of `fixed`."""
    small = [F.avg_pool3d(v[None, None], 4) for v in (fixed, moving)]
    points = [max(2, n // CONTROL) for n in fixed.shape]
    shift = torch.zeros(1, 3, *points, requires_grad=True)
    base = F.affine_grid(torch.eye(3, 4)[None], list(small[0].shape), align_corners=False)
    size = torch.tensor(small[0].shape[2:]).float()
    optimizer = torch.optim.Adam([shift], RATE)
    for width, steps in PASSES:
        there, here = (F.avg_pool3d(v, width, 1, width // 2) for v in small)
        for _ in range(steps):
            moved = F.interpolate(shift, list(there.shape[2:]), mode="trilinear")
            places = base + (moved.permute(0, 2, 3, 4, 1) / size * 2).flip(-1)
            read = F.grid_sample(here, places, align_corners=False)
            rough = sum(shift.diff(dim=axis).square().mean() for axis in (2, 3, 4))
            loss: Any = (read - there).square().mean() + STIFF * rough
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        full = F.interpolate(shift, list(fixed.shape), mode="trilinear") * 4
    whole = F.affine_grid(torch.eye(3, 4)[None], [1, 1, *fixed.shape], align_corners=False)
    whole = whole + (full.permute(0, 2, 3, 4, 1) / torch.tensor(fixed.shape) * 2).flip(-1)
    return lambda v: F.grid_sample(v[None, None], whole, align_corners=False)[0, 0]
