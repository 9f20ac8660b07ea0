"""Positions for attention: rotations by the coordinates along n axes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Rotary", "rotate"]

_BASE = 1000.0


class Rotary(nn.Module):
    """Angles of rotary position embedding, for positions with one coordinate per axis.

    Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), equation 15;
    for several axes as in Heo et al., Rotary Position Embedding for Vision Transformer (2024): the
    pairs of features are shared out among the axes, and pair i of n of an axis turns by
    1000^(-i/n) radians a cell. Since <R(a) q, R(b) k> = <q, R(b - a) k>, attention sees
    differences of positions only: it is the same wherever a signal lies in a longer one.

    Shapes: the size (S_1, ..., S_n) of the grid -> angles (S_1 * ... * S_n, features // 2), on the
    device of `like` and in its precision, but never below float32, which far positions need.
    """

    def __init__(self, spatial: int, features: int) -> None:
        super().__init__()
        if features % 2 or features < 2 * spatial:
            raise ValueError(
                f"a head has {features} features; rotary positions over {spatial} axes need an "
                f"even number of at least {2 * spatial}"
            )
        self.features = features

    def forward(self, size: Sequence[int], like: Tensor) -> Tensor:
        wide = torch.promote_types(like.dtype, torch.float32)
        pairs, count = self.features // 2, self.features // 2 // len(size)
        turns = _BASE ** (-torch.arange(count, device=like.device, dtype=wide) / count)
        columns = [torch.arange(n, device=like.device, dtype=wide) for n in size]
        grids = torch.meshgrid(*columns, indexing="ij")
        angles = torch.cat([grid.reshape(-1, 1) * turns for grid in grids], dim=1)
        return F.pad(angles, (0, pairs - angles.shape[1]))


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """x (..., N, D) with pair (d, d + D/2) of position n turned by angles (N, D/2)."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
