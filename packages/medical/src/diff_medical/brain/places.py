"""The places of the voxels of a crop in the whole grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["START", "WAVES", "Shape", "coordinates", "waves"]

Shape = tuple[int, int, int]
"""Numbers of voxels or cells along x, y and z."""
START: Shape = (0, 0, 0)
"""The start of a crop that is the whole grid."""
WAVES = 12
"""Channels of `waves`."""


def waves(shape: Shape, start: Shape, whole: Shape) -> Tensor:
    """Sine and cosine of one and two half turns across each axis of the whole grid.

    (1, 12, *shape), of unit mean square over the grid, for a crop of `shape` cells from `start`.
    """
    made: list[Tensor] = []
    for axis in range(3):
        place = (torch.arange(shape[axis]) + start[axis] + 0.5) / whole[axis] - 0.5
        view = [1, 1, 1]
        view[axis] = -1
        for turns in (1, 2):
            angle = (math.pi * turns * place).reshape(view).expand(shape)
            made += [angle.sin(), angle.cos()]
    return torch.stack(made)[None] * math.sqrt(2)


def coordinates(start: Shape, shape: Shape, whole: Shape) -> Tensor:
    """The centres of a crop's voxels for `grid_sample`: (1, *shape, 3), -1 to 1 over the grid.

    The last axis of the grid comes first, as `torch.nn.functional.grid_sample` has it.
    """
    places = [
        (torch.arange(n) + first + 0.5) / size * 2 - 1
        for first, n, size in zip(start, shape, whole, strict=True)
    ]
    return torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], -1)[None]
