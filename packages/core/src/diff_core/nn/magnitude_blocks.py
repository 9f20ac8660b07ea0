"""The blocks of a magnitude-preserving U-Net.

Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models (2024), figure 21.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from diff_core.nn.attention import attend, check_heads, keys_of, to_grid, to_rows
from diff_core.nn.embed import FourierFeatures
from diff_core.nn.layers import conv
from diff_core.nn.lengths import blank
from diff_core.nn.magnitude import Scaled, mix, pixel_norm, silu, unit
from diff_core.nn.rotary import Rotary

__all__ = [
    "MagnitudeBlock",
    "MagnitudeCrossAttention",
    "MagnitudeEmbedding",
    "MagnitudeSelfAttention",
]


class MagnitudeEmbedding(nn.Module):
    """Time (B,) and, if `vector_dim` > 0, a vector (B, vector_dim) -> (B, features)."""

    def __init__(self, features: int, vector_dim: int = 0) -> None:
        super().__init__()
        self.fourier = FourierFeatures(64)
        self.time = unit(nn.Linear(64, features, bias=False))
        self.vector = unit(nn.Linear(vector_dim, features, bias=False)) if vector_dim else None

    def forward(self, time: Tensor, vector: Tensor | None = None) -> Tensor:
        features = self.time(math.sqrt(2.0) * self.fourier(time).to(self.time.weight.dtype))
        if self.vector is not None and vector is not None:
            features = mix(features, self.vector(vector.to(features.dtype)), 0.5)
        return silu(features)


class MagnitudeBlock(nn.Module):
    """Residual block: mix(x, conv(silu(gain(e) * conv(silu(x))))).

    In the encoder x is first normalised at each position. Shapes as `ResidualBlock`.
    """

    def __init__(
        self,
        spatial: int,
        channels: int,
        embedding: int,
        *,
        kernel: int | tuple[int, ...] = 3,
        encoder: bool = False,
    ) -> None:
        super().__init__()
        self.spatial = spatial
        self.encoder = encoder
        self.conv1 = unit(conv(spatial, channels, channels, kernel, bias=False))
        self.film = Scaled(nn.Linear(embedding, channels, bias=False))
        self.conv2 = unit(conv(spatial, channels, channels, kernel, bias=False))

    def forward(self, x: Tensor, embedding: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.encoder:
            x = pixel_norm(x)
        h = self.conv1(blank(silu(x), mask))
        h = h * (1 + self.film(embedding))[(...,) + (None,) * self.spatial]
        return mix(x, self.conv2(blank(silu(h), mask)))


class MagnitudeSelfAttention(nn.Module):
    """Cosine attention: queries, keys and values have unit mean square in each head."""

    def __init__(self, spatial: int, channels: int, heads: int, *, rotary: bool = False) -> None:
        super().__init__()
        features = check_heads(channels, heads)
        self.heads = heads
        self.qkv = unit(conv(spatial, channels, 3 * channels, 1, bias=False))
        self.out = unit(conv(spatial, channels, channels, 1, bias=False))
        self.rotary = Rotary(spatial, features) if rotary else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        size = x.shape[2:]
        rows = pixel_norm(to_rows(self.qkv, x).unflatten(-1, (3, self.heads, -1)), dim=-1)
        query, key, value = rows.unbind(2)
        angles = self.rotary(size, x) if self.rotary is not None else None
        mixed = attend(query, key, value, angles=angles, keys=keys_of(mask, size))
        return mix(x, to_grid(self.out, mixed, size))


class MagnitudeCrossAttention(nn.Module):
    """The same from positions (B, C, *S) to tokens (B, L, token_dim); see `CrossAttention`."""

    def __init__(self, spatial: int, channels: int, heads: int, token_dim: int) -> None:
        super().__init__()
        check_heads(channels, heads)
        self.heads = heads
        self.query = unit(conv(spatial, channels, channels, 1, bias=False))
        self.key_value = unit(nn.Linear(token_dim, 2 * channels, bias=False))
        self.out = unit(conv(spatial, channels, channels, 1, bias=False))

    def forward(
        self, x: Tensor, tokens: Tensor, mask: Tensor | None = None, keys: Tensor | None = None
    ) -> Tensor:
        query = pixel_norm(to_rows(self.query, x).unflatten(-1, (self.heads, -1)), dim=-1)
        pairs = self.key_value(tokens).unflatten(-1, (2, self.heads, -1))
        key, value = pixel_norm(pairs, dim=-1).unbind(2)
        return mix(x, to_grid(self.out, attend(query, key, value, keys=keys), x.shape[2:]))
