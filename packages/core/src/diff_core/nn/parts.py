"""The parts of a U-Net: the usual layers, or layers that keep magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from diff_core.nn.attention import CrossAttention, SelfAttention
from diff_core.nn.blocks import ResidualBlock
from diff_core.nn.embed import Embedding
from diff_core.nn.layers import Activation, conv, conv_transpose
from diff_core.nn.magnitude import Scaled, join, unit
from diff_core.nn.magnitude_blocks import (
    MagnitudeBlock,
    MagnitudeCrossAttention,
    MagnitudeEmbedding,
    MagnitudeSelfAttention,
)
from diff_core.nn.norm import Norm

__all__ = ["MagnitudeParts", "Parts", "UsualParts"]


class Parts(Protocol):
    """Make the parts of a U-Net over `spatial` axes."""

    def embedding(self, vector_dim: int) -> nn.Module: ...
    def stem(self, in_channels: int, width: int) -> nn.Module: ...
    def block(self, width: int, *, encoder: bool) -> nn.Module: ...
    def attention(self, width: int, heads: int, *, rotary: bool) -> nn.Module: ...
    def cross(self, width: int, heads: int, token_dim: int) -> nn.Module: ...
    def down(self, width: int, wider: int, factor: tuple[int, ...]) -> nn.Module: ...
    def up(self, wider: int, width: int, factor: tuple[int, ...]) -> nn.Module: ...
    def merge(self, width: int) -> nn.Module: ...
    def head(self, width: int, out_channels: int) -> nn.Module: ...

    def enter(self, x: Tensor) -> Tensor:
        """Return the input of the stem."""
        ...

    def join(self, up: Tensor, skip: Tensor) -> Tensor:
        """Return the input of a merge."""
        ...


@dataclass(frozen=True)
class UsualParts:
    """Residual blocks with norms, FiLM and biases, see `ResidualBlock`."""

    spatial: int
    kernel: tuple[int, ...]
    features: int
    norm: Norm
    activation: Activation
    bias: bool

    def embedding(self, vector_dim: int) -> nn.Module:
        return Embedding(self.features, vector_dim)

    def stem(self, in_channels: int, width: int) -> nn.Module:
        return conv(self.spatial, in_channels, width, self.kernel, bias=self.bias)

    def block(self, width: int, *, encoder: bool) -> nn.Module:
        return ResidualBlock(
            self.spatial,
            width,
            width,
            self.features,
            kernel=self.kernel,
            norm=self.norm,
            activation=self.activation,
            bias=self.bias,
        )

    def attention(self, width: int, heads: int, *, rotary: bool) -> nn.Module:
        return SelfAttention(self.spatial, width, heads, norm=self.norm, rotary=rotary)

    def cross(self, width: int, heads: int, token_dim: int) -> nn.Module:
        return CrossAttention(self.spatial, width, heads, token_dim, norm=self.norm)

    def down(self, width: int, wider: int, factor: tuple[int, ...]) -> nn.Module:
        return conv(self.spatial, width, wider, factor, stride=factor, bias=self.bias)

    def up(self, wider: int, width: int, factor: tuple[int, ...]) -> nn.Module:
        return conv_transpose(self.spatial, wider, width, factor, bias=self.bias)

    def merge(self, width: int) -> nn.Module:
        return conv(self.spatial, 2 * width, width, 1, bias=self.bias)

    def head(self, width: int, out_channels: int) -> nn.Module:
        return conv(self.spatial, width, out_channels, self.kernel, bias=self.bias, zero=True)

    def enter(self, x: Tensor) -> Tensor:
        return x

    def join(self, up: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([up, skip], dim=1)


@dataclass(frozen=True)
class MagnitudeParts:
    """Layers of unit weights and no biases, see `diff_core.nn.magnitude`."""

    spatial: int
    kernel: tuple[int, ...]
    features: int

    def embedding(self, vector_dim: int) -> nn.Module:
        return MagnitudeEmbedding(self.features, vector_dim)

    def stem(self, in_channels: int, width: int) -> nn.Module:
        return unit(conv(self.spatial, in_channels + 1, width, self.kernel, bias=False))

    def block(self, width: int, *, encoder: bool) -> nn.Module:
        return MagnitudeBlock(
            self.spatial, width, self.features, kernel=self.kernel, encoder=encoder
        )

    def attention(self, width: int, heads: int, *, rotary: bool) -> nn.Module:
        return MagnitudeSelfAttention(self.spatial, width, heads, rotary=rotary)

    def cross(self, width: int, heads: int, token_dim: int) -> nn.Module:
        return MagnitudeCrossAttention(self.spatial, width, heads, token_dim)

    def down(self, width: int, wider: int, factor: tuple[int, ...]) -> nn.Module:
        return unit(conv(self.spatial, width, wider, factor, stride=factor, bias=False))

    def up(self, wider: int, width: int, factor: tuple[int, ...]) -> nn.Module:
        return unit(conv_transpose(self.spatial, wider, width, factor, bias=False))

    def merge(self, width: int) -> nn.Module:
        return unit(conv(self.spatial, 2 * width, width, 1, bias=False))

    def head(self, width: int, out_channels: int) -> nn.Module:
        return Scaled(conv(self.spatial, width, out_channels, self.kernel, bias=False))

    def enter(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)

    def join(self, up: Tensor, skip: Tensor) -> Tensor:
        return join(up, skip)
