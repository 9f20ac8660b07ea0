"""Label maps at coarser grids: the fraction of each cell that a class fills."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from diff_medical.brain.grid import CLASSES

__all__ = ["fractions", "from_cells", "head_box", "one_hot", "simplex", "to_cells"]

Box = tuple[slice, slice, slice]


def one_hot(labels: Tensor) -> Tensor:
    """Return (B, 5, *S) float32 of labels (B, *S): 1 at the class of a voxel, none for air."""
    return torch.stack([labels == k for k in range(1, len(CLASSES))], 1).float()


def fractions(labels: Tensor, factor: int) -> Tensor:
    """Return (B, 5, *S / factor): the share of each cell of labels (B, *S) that a class fills."""
    return F.avg_pool3d(one_hot(labels), factor)


def simplex(shares: Tensor) -> Tensor:
    """Return fractions (B, 5, *S) cut to 0 to 1, with a sum of at most 1."""
    shares = shares.clamp(0, 1)
    return shares / shares.sum(1, keepdim=True).clamp_min(1)


def to_cells(x: Tensor) -> Tensor:
    """Return (B, 8 C, *S / 2) of (B, C, *S): the eight voxels of a cell as channels."""
    for axis in (2, 4, 6):
        x = x.unflatten(axis, (-1, 2))
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)


def from_cells(x: Tensor) -> Tensor:
    """The inverse of `to_cells`."""
    x = x.unflatten(1, (-1, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return x.flatten(2, 3).flatten(3, 4).flatten(4, 5)


def head_box(inside: Tensor, step: int) -> Box:
    """The part of a volume (*S) that holds all that is `inside`, with a margin of step / 2.

    Its ends are multiples of `step`, or the end of the volume. All of it where nothing is inside.
    """
    found: list[slice] = []
    for axis, size in enumerate(inside.shape):
        others = [a for a in range(inside.ndim) if a != axis]
        hit = inside.bool().sum(others).nonzero().flatten()
        low, high = (int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, size)
        low, high = max(0, low - step // 2), min(size, high + step // 2)
        found.append(slice(low // step * step, min(size, -(-high // step) * step)))
    return found[0], found[1], found[2]
