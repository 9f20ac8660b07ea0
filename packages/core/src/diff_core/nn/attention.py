"""Attention among the positions of a signal, and from them to a sequence of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from diff_core.nn.layers import conv
from diff_core.nn.norm import Norm, make_norm
from diff_core.nn.rotary import Rotary, rotate

__all__ = [
    "CrossAttention",
    "SelfAttention",
    "attend",
    "check_heads",
    "keys_of",
    "to_grid",
    "to_rows",
]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    angles: Tensor | None = None,
    keys: Tensor | None = None,
) -> Tensor:
    """softmax(q k^T / sqrt(D)) v for every head: (B, N, H, D), (B, M, H, D) twice -> (B, N, H D).

    Vaswani et al., Attention Is All You Need (2017), equation 1.
    angles: (N, D/2) to turn queries and keys by, see `Rotary`
    keys:   bool (B, 1, 1, M), true for the keys that are looked at
    """
    query, key, value = (t.transpose(1, 2) for t in (query, key, value))
    if angles is not None:
        query, key = rotate(query, angles), rotate(key, angles)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=keys)
    return mixed.transpose(1, 2).flatten(2)


def check_heads(channels: int, heads: int) -> int:
    """Features of a head. Raises ValueError if the heads do not share the channels evenly."""
    if heads < 1 or channels % heads:
        raise ValueError(f"heads is {heads}; expected a divisor of the {channels} channels")
    return channels // heads


def keys_of(mask: Tensor | None, size: Sequence[int]) -> Tensor | None:
    """The mask over the last axis (B, 1, ..., S[-1]) as one over all positions, (B, 1, 1, N)."""
    if mask is None:
        return None
    return mask.expand(-1, -1, *size).flatten(1)[:, None, None]


def to_rows(pointwise: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution as one matrix product on rows: (B, C, *S) -> (B, N, C').

    The features of a position lie side by side in the result, as attention reads them.
    """
    return _linear(pointwise, x.flatten(2).transpose(1, 2))


def to_grid(pointwise: nn.Module, rows: Tensor, size: Sequence[int]) -> Tensor:
    """The way back: (B, N, C) -> (B, C', *S)."""
    return _linear(pointwise, rows).transpose(1, 2).unflatten(-1, tuple(size))


class SelfAttention(nn.Module):
    """Attention among all positions of (B, C, *S), added to its input; starts as the identity.

    Wang et al., Non-local Neural Networks (2018). It knows of positions only what the features
    tell it, unless `rotary` turns queries and keys by their coordinates. The mask
    (B, 1, ..., S[-1]) is true where positions are valid.
    """

    def __init__(
        self,
        spatial: int,
        channels: int,
        heads: int,
        *,
        norm: Norm = "group",
        rotary: bool = False,
    ) -> None:
        super().__init__()
        features = check_heads(channels, heads)
        self.heads = heads
        self.norm = make_norm(norm, channels)
        self.qkv = conv(spatial, channels, 3 * channels, 1)
        self.out = conv(spatial, channels, channels, 1, zero=True)
        self.rotary = Rotary(spatial, features) if rotary else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        size = x.shape[2:]
        rows = to_rows(self.qkv, self.norm(x, mask)).unflatten(-1, (3, self.heads, -1))
        query, key, value = rows.unbind(2)
        angles = self.rotary(size, x) if self.rotary is not None else None
        mixed = attend(query, key, value, angles=angles, keys=keys_of(mask, size))
        return x + to_grid(self.out, mixed, size)


class CrossAttention(nn.Module):
    """Attention from the positions of (B, C, *S) to tokens (B, L, token_dim), added to x.

    Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022), section
    3.3. Starts as the identity. keys: bool (B, 1, 1, L), true for the tokens that are looked at.
    """

    def __init__(
        self,
        spatial: int,
        channels: int,
        heads: int,
        token_dim: int,
        *,
        norm: Norm = "group",
    ) -> None:
        super().__init__()
        check_heads(channels, heads)
        self.heads = heads
        self.norm = make_norm(norm, channels)
        self.query = conv(spatial, channels, channels, 1)
        self.key_value = nn.Linear(token_dim, 2 * channels)
        self.out = conv(spatial, channels, channels, 1, zero=True)

    def forward(
        self, x: Tensor, tokens: Tensor, mask: Tensor | None = None, keys: Tensor | None = None
    ) -> Tensor:
        query = to_rows(self.query, self.norm(x, mask)).unflatten(-1, (self.heads, -1))
        key, value = self.key_value(tokens).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return x + to_grid(self.out, attend(query, key, value, keys=keys), x.shape[2:])


def _linear(pointwise: nn.Module, rows: Tensor) -> Tensor:
    weight, bias = pointwise.weight, pointwise.bias
    assert isinstance(weight, Tensor)
    return F.linear(rows, weight.flatten(1), bias if isinstance(bias, Tensor) else None)
