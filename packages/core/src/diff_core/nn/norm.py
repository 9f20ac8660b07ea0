"""Normalisations, which leave what lies beyond each signal's end out of their statistics."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from diff_core.nn.lengths import blank

__all__ = ["FrameNorm", "GroupNorm", "Identity", "Norm", "make_norm"]

Norm = Literal["group", "frame", "none"]
"""The name of a norm, see `make_norm`."""


class GroupNorm(nn.GroupNorm):
    """Wu and He, Group Normalization (2018), over the valid entries of each signal only.

    Shapes: x (B, C, *S), mask (B, 1, ..., S[-1]), true where valid -> (B, C, *S).
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        if mask is None:
            return super().forward(x)
        wide = torch.promote_types(x.dtype, torch.float32)
        grouped = x.to(wide).unflatten(1, (self.num_groups, -1))
        valid = mask[:, None]
        axes = tuple(range(2, grouped.ndim))
        entries = valid.sum(axes, keepdim=True) * grouped[0, 0, ..., 0].numel()
        mean = blank(grouped, valid).sum(axes, keepdim=True) / entries
        centred = grouped - mean
        variance = blank(centred, valid).square().sum(axes, keepdim=True) / entries
        normal = (centred * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        shape = (-1,) + (1,) * (x.ndim - 2)
        return (normal * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)


class FrameNorm(nn.Module):
    """Normalisation over channels and every axis but the last, for each frame on its own.

    A frame's output does not depend on any other frame, so inference in chunks along the last
    axis is exact, and a mask over frames changes nothing. Shapes (B, C, *S) -> (B, C, *S).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        axes = tuple(range(1, x.ndim - 1))
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        shape = (-1,) + (1,) * (x.ndim - 2)
        scale = torch.rsqrt(variance + self.eps)
        return (x - mean) * scale * self.weight.view(shape) + self.bias.view(shape)


class Identity(nn.Module):
    """No normalisation."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """`group`: up to 8 groups over the whole signal; `frame`: FrameNorm; `none`: identity.

    With `none` the receptive field is finite and the network scale-equivariant if also free of
    biases, so tiled inference over all axes is exact.
    """
    if norm == "group":
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        return GroupNorm(groups, channels)
    if norm == "frame":
        return FrameNorm(channels)
    if norm == "none":
        return Identity()
    raise ValueError(f"norm is {norm!r}; expected 'group', 'frame' or 'none'")
