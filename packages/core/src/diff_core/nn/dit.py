"""A transformer over patches of signals, images and volumes.

Peebles and Xie, Scalable Diffusion Models with Transformers (2023), with rotary positions in place
of added ones, normalised queries and keys (Dehghani et al., Scaling Vision Transformers to 22
Billion Parameters, 2023), and cross-attention to tokens as in Chen et al., PixArt-alpha (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recompute

from diff_core.condition import Condition, check_condition
from diff_core.nn.attention import attend, check_heads, keys_of
from diff_core.nn.embed import Embedding
from diff_core.nn.inputs import Inputs
from diff_core.nn.layers import conv, conv_transpose
from diff_core.nn.lengths import blank, extend, valid_cells, valid_tokens
from diff_core.nn.rotary import Rotary

__all__ = ["DiT", "DiTInputs"]


class _RmsNorm(nn.Module):
    """Zhang and Sennrich, Root Mean Square Layer Normalization (2019), over the last axis.

    Unlike `nn.RMSNorm` it takes input of another dtype than its weight, which autocast gives it.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * self.weight


class _Block(nn.Module):
    """Self-attention, cross-attention where there are tokens, and a perceptron on (B, N, D).

    adaLN-zero: x + gate(e) * f(norm(x) * (1 + scale(e)) + shift(e)) with all three of e starting
    at zero, so that the block starts as the identity.
    """

    def __init__(self, width: int, heads: int, ratio: float, token_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.query_norm = _RmsNorm(width // heads)
        self.key_norm = _RmsNorm(width // heads)
        self.out = nn.Linear(width, width)
        self.cross = _Cross(width, heads, token_dim) if token_dim else None
        hidden = int(ratio * width)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(approximate="tanh"),
            nn.Linear(hidden, width),
        )
        self.modulation = _zero(nn.Linear(width, 6 * width))

    def forward(
        self,
        x: Tensor,
        embedding: Tensor,
        angles: Tensor,
        keys: Tensor | None,
        tokens: Tensor | None,
        token_keys: Tensor | None = None,
    ) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(embedding)[:, None].chunk(
            6, dim=-1
        )
        rows = self.qkv(self.norm(x) * (1 + scale1) + shift1)
        query, key, value = rows.unflatten(-1, (3, self.heads, -1)).unbind(2)
        query, key = self.query_norm(query), self.key_norm(key)
        x = x + gate1 * self.out(attend(query, key, value, angles=angles, keys=keys))
        if self.cross is not None and tokens is not None:
            x = x + self.cross(self.norm(x), tokens, token_keys)
        return x + gate2 * self.mlp(self.norm(x) * (1 + scale2) + shift2)


class _Cross(nn.Module):
    """Attention from (B, N, D) to tokens (B, L, token_dim); starts at zero."""

    def __init__(self, width: int, heads: int, token_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(token_dim, 2 * width)
        self.query_norm = _RmsNorm(width // heads)
        self.key_norm = _RmsNorm(width // heads)
        self.out = _zero(nn.Linear(width, width))

    def forward(self, x: Tensor, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        query = self.query(x).unflatten(-1, (self.heads, -1))
        key, value = self.key_value(tokens).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return self.out(attend(self.query_norm(query), self.key_norm(key), value, keys=keys))


class DiTInputs(NamedTuple):
    """The inputs of a transformer's blocks.

    x:     (B, N, width), the patches
    given: further inputs of a block: embedding, rotary angles, keys, tokens, keys of tokens
    grid:  patches along each axis; size: S of the result; lengths: (B,) or None
    """

    x: Tensor
    given: tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]
    grid: torch.Size
    size: torch.Size
    lengths: Tensor | None


class DiT(nn.Module):
    """A diffusion transformer over 1, 2 or 3 axes, taking the same conditions as `UNet`.

    spatial:       1, 2 or 3 axes
    in_channels:   channels of x; out_channels: of the result
    patch:         entries of a patch, a number or one per axis
    width:         features of a patch, throughout
    depth:         blocks
    heads:         attention heads
    ratio:         width of the perceptrons' hidden layer in units of `width`
    vector_dim:    size of `Condition.vector`, 0 for none
    cond_channels: channels of `Condition.channels`, concatenated to x, 0 for none
    token_dim:     size of each of `Condition.tokens`, 0 for none
    checkpoint:    whether the blocks' activations are recomputed in the backward pass

    Any size is taken: the input is padded at the end (edge values) to whole patches and the result
    cropped. With `Condition.lengths` and `Condition.token_lengths` each signal of a batch gives
    what it would give alone with its own tokens, and zeros beyond its end, see
    `diff_core.nn.lengths`. An untrained network returns zero.

    Raises ValueError as `UNet` does.
    """

    def __init__(
        self,
        spatial: int,
        in_channels: int,
        out_channels: int,
        *,
        patch: int | Sequence[int] = 2,
        width: int = 384,
        depth: int = 12,
        heads: int = 6,
        ratio: float = 4.0,
        vector_dim: int = 0,
        cond_channels: int = 0,
        token_dim: int = 0,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        if spatial not in (1, 2, 3):
            raise ValueError(f"spatial is {spatial}; expected 1, 2 or 3")
        self.patch = (patch,) * spatial if isinstance(patch, int) else tuple(patch)
        if len(self.patch) != spatial or min(self.patch) < 1:
            raise ValueError(
                f"patch is {patch}; expected a number of at least 1, or {spatial} of them"
            )
        self.config: dict[str, object] = {
            "spatial": spatial,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "patch": self.patch,
            "width": width,
            "depth": depth,
            "heads": heads,
            "ratio": ratio,
            "vector_dim": vector_dim,
            "cond_channels": cond_channels,
            "token_dim": token_dim,
            "checkpoint": checkpoint,
        }
        self.inputs = Inputs(spatial, in_channels, vector_dim, cond_channels, token_dim)
        self.checkpoint = checkpoint
        self.embedding = Embedding(width, vector_dim)
        self.rotary = Rotary(spatial, check_heads(width, heads))
        self.stem = conv(
            spatial, in_channels + cond_channels, width, self.patch, stride=self.patch
        )
        self.blocks = nn.ModuleList([_Block(width, heads, ratio, token_dim) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = _zero(nn.Linear(width, 2 * width))
        self.head = _zero(conv_transpose(spatial, width, out_channels, self.patch))

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """x (B, in_channels, *S), time () or (B,) -> (B, out_channels, *S)."""
        return self.run(self.enter(x, time, cond))

    def enter(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> DiTInputs:
        """Check and prepare what the blocks take."""
        check_condition(cond)
        cond = cond or Condition()
        self.inputs.check(x, time, cond, next(self.parameters()))
        lengths = None if cond.lengths is None else cond.lengths.to(x.device)
        if cond.channels is not None:
            x = torch.cat([x, cond.channels.to(x.dtype)], dim=1)
        tokens, token_keys = valid_tokens(cond.tokens, cond.token_lengths, x)
        size = x.shape[2:]
        embedding = self.embedding(time.expand(x.shape[0]), cond.vector)

        x = self.stem(extend(x, self.patch, lengths))
        grid = x.shape[2:]
        keys = None
        if lengths is not None:
            keys = keys_of(valid_cells(lengths, self.patch[-1], grid[-1], x.ndim), grid)
        given = (embedding, self.rotary(grid, x), keys, tokens, token_keys)
        return DiTInputs(x.flatten(2).transpose(1, 2), given, grid, size, lengths)

    def block(self, i: int, x: Tensor, entered: DiTInputs) -> Tensor:
        """Return the result of block i on patches x (B, N, width)."""
        if self.checkpoint and torch.is_grad_enabled():
            return recompute(self.blocks[i], x, *entered.given, use_reentrant=False)  # type: ignore[return-value]
        return self.blocks[i](x, *entered.given)

    def run(self, entered: DiTInputs, hints: Sequence[Tensor] = ()) -> Tensor:
        """Return the result (B, out_channels, *S); hints are added after the first blocks."""
        x, (embedding, *_), grid, size, lengths = entered
        for i in range(len(self.blocks)):
            x = self.block(i, x, entered)
            if i < len(hints):
                x = x + hints[i]
        scale, shift = self.modulation(embedding)[:, None].chunk(2, dim=-1)
        x = self.norm(x) * (1 + scale) + shift
        x = self.head(x.transpose(1, 2).unflatten(-1, grid))[(..., *(slice(n) for n in size))]
        return x if lengths is None else blank(x, valid_cells(lengths, 1, size[-1], x.ndim))


def _zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
