"""One U-Net for signals, images and volumes.

Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation (2015), with
the residual blocks and the time modulation of Dhariwal and Nichol, Diffusion Models Beat GANs on
Image Synthesis (2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from diff_core.condition import Condition, check_condition
from diff_core.nn.inputs import Inputs
from diff_core.nn.layers import Activation
from diff_core.nn.lengths import blank, extend, valid_cells, valid_tokens
from diff_core.nn.magnitude import normalise_weights
from diff_core.nn.norm import Norm
from diff_core.nn.parts import MagnitudeParts, Parts, UsualParts

__all__ = ["UNet", "UNetInputs"]


class _Level(nn.Module):
    """The blocks at one resolution: residual, each followed by attention where asked for."""

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        attention: Sequence[nn.Module],
        cross: Sequence[nn.Module],
        *,
        checkpoint: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attention = nn.ModuleList(attention)
        self.cross = nn.ModuleList(cross)
        self.checkpoint = checkpoint

    def forward(
        self,
        x: Tensor,
        embedding: Tensor,
        mask: Tensor | None,
        tokens: Tensor | None,
        keys: Tensor | None,
    ) -> Tensor:
        given = (x, embedding, mask, tokens, keys)
        if self.checkpoint and torch.is_grad_enabled():
            return recompute(self._run, *given, use_reentrant=False)  # type: ignore[return-value]
        return self._run(*given)

    def _run(
        self,
        x: Tensor,
        embedding: Tensor,
        mask: Tensor | None,
        tokens: Tensor | None,
        keys: Tensor | None,
    ) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, embedding, mask)
            if len(self.attention):
                x = self.attention[i](x, mask)
            if len(self.cross):
                x = self.cross[i](x, tokens, mask, keys)
        return x


class UNetInputs(NamedTuple):
    """The inputs of a U-Net's levels.

    x:         (B, C, *S), conditions concatenated, padded to whole cells of the coarsest level
    embedding: (B, E), of time and vector
    masks:     for each level the cells that a signal reaches, or None
    tokens:    (B, L, D) and keys (B, L), valid tokens, or None
    size:      S of the result; lengths: (B,) or None
    """

    x: Tensor
    embedding: Tensor
    masks: list[Tensor | None]
    tokens: Tensor | None
    keys: Tensor | None
    size: torch.Size
    lengths: Tensor | None


class UNet(nn.Module):
    """A U-Net over 1, 2 or 3 axes, conditioned on time, a vector, aligned channels and tokens.

    spatial:       1, 2 or 3 axes
    in_channels:   channels of x; out_channels: of the result
    channels:      width of each level, finest first
    blocks:        residual blocks per level, in the encoder and again in the decoder (at the
                   coarsest level, where the two meet, once): one number, or one per level
    factors:       downsampling between levels: one number, or one per transition, each a number or
                   one per axis (thick slices: ((1, 2, 2), (2, 2, 2)))
    kernel:        odd, a number or one per axis
    norm, activation, bias: see `diff_core.nn.norm` and `layers`; norm="none", activation="relu"
                   and bias=False make a network homogeneous of degree one
    attention:     levels (0 = finest) with self-attention, and cross-attention if there are tokens
    heads:         attention heads
    rotary:        whether self-attention knows the coordinates of positions, see `Rotary`
    vector_dim:    size of `Condition.vector`, 0 for none
    cond_channels: channels of `Condition.channels`, concatenated to x, 0 for none
    token_dim:     size of each of `Condition.tokens`, 0 for none
    embedding:     width of the time and vector embedding
    checkpoint:    levels whose activations are recomputed in the backward pass to save memory
    magnitude_preserving: layers that keep the magnitude of activations and weights in place of
                   norm, activation and bias, see `diff_core.nn.magnitude`; wants inputs, vectors
                   and tokens of about unit variance

    Any size is taken: the input is padded at the end (edge values) to a multiple of the product of
    the factors and the result cropped. With `Condition.lengths` and `Condition.token_lengths` each
    signal of a batch gives what it would give alone with its own tokens, and zeros beyond its end,
    see `diff_core.nn.lengths`. An untrained network returns zero.

    Raises ValueError when the settings contradict each other, when an input has a wrong shape,
    dtype or device, and when a condition is missing or is one that the network does not take.
    """

    def __init__(
        self,
        spatial: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (64, 128, 256),
        *,
        blocks: int | Sequence[int] = 2,
        factors: int | Sequence[int | Sequence[int]] = 2,
        kernel: int | Sequence[int] = 3,
        norm: Norm = "group",
        activation: Activation = "silu",
        bias: bool = True,
        attention: Sequence[int] = (),
        heads: int = 4,
        rotary: bool = False,
        vector_dim: int = 0,
        cond_channels: int = 0,
        token_dim: int = 0,
        embedding: int = 128,
        checkpoint: Sequence[int] = (),
        magnitude_preserving: bool = False,
    ) -> None:
        super().__init__()
        steps, counts, kernel = _shape(spatial, channels, factors, blocks, kernel)
        _refuse_levels(len(channels), attention=attention, checkpoint=checkpoint)
        if token_dim and not attention:
            raise ValueError(
                f"token_dim is {token_dim}, attention is (); name the levels that attend to tokens"
            )
        if magnitude_preserving and (norm, activation, bias) != ("group", "silu", True):
            given = f"norm is {norm!r}, activation is {activation!r}, bias is {bias}"
            raise ValueError(f"{given}; magnitude_preserving replaces all three, leave them out")
        self.config: dict[str, object] = {
            "spatial": spatial,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "channels": tuple(channels),
            "blocks": blocks if isinstance(blocks, int) else tuple(blocks),
            "factors": tuple(steps),
            "kernel": kernel,
            "norm": norm,
            "activation": activation,
            "bias": bias,
            "attention": tuple(attention),
            "heads": heads,
            "rotary": rotary,
            "vector_dim": vector_dim,
            "cond_channels": cond_channels,
            "token_dim": token_dim,
            "embedding": embedding,
            "checkpoint": tuple(checkpoint),
            "magnitude_preserving": magnitude_preserving,
        }
        self.inputs = Inputs(spatial, in_channels, vector_dim, cond_channels, token_dim)
        self.multiple = tuple(math.prod(step[axis] for step in steps) for axis in range(spatial))
        self.parts: Parts = (
            MagnitudeParts(spatial, kernel, embedding)
            if magnitude_preserving
            else UsualParts(spatial, kernel, embedding, norm, activation, bias)
        )
        parts = self.parts

        def level(index: int, *, encoder: bool) -> _Level:
            width, count = channels[index], counts[index]
            attends = count if index in attention else 0
            return _Level(
                [parts.block(width, encoder=encoder) for _ in range(count)],
                [parts.attention(width, heads, rotary=rotary) for _ in range(attends)],
                [parts.cross(width, heads, token_dim) for _ in range(attends if token_dim else 0)],
                checkpoint=index in checkpoint,
            )

        self.embedding = parts.embedding(vector_dim)
        self.stem = parts.stem(in_channels + cond_channels, channels[0])
        self._build(channels, steps, level)
        self.head = parts.head(channels[0], out_channels)
        # entries of the last axis that one cell of each level covers
        self._cells = [math.prod(step[-1] for step in steps[:i]) for i in range(len(channels))]

    def _build(
        self,
        channels: Sequence[int],
        steps: Sequence[tuple[int, ...]],
        level: Callable[..., _Level],
    ) -> None:
        """Make the levels of encoder and decoder, and the ways between them."""
        parts, depth = self.parts, range(len(channels) - 1)
        self.encoder = nn.ModuleList([level(i, encoder=True) for i in range(len(channels))])
        self.down = nn.ModuleList(
            [parts.down(channels[i], channels[i + 1], steps[i]) for i in depth]
        )
        self.up = nn.ModuleList([parts.up(channels[i + 1], channels[i], steps[i]) for i in depth])
        self.merge = nn.ModuleList([parts.merge(channels[i]) for i in depth])
        self.decoder = nn.ModuleList([level(i, encoder=False) for i in depth])

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """x (B, in_channels, *S), time () or (B,) -> (B, out_channels, *S)."""
        entered = self.enter(x, time, cond)
        return self.decode(self.encode(entered), entered)

    def enter(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> UNetInputs:
        """Check and prepare what the levels take."""
        check_condition(cond)
        cond = cond or Condition()
        self.inputs.check(x, time, cond, next(self.parameters()))
        if self.training and self.config["magnitude_preserving"]:
            normalise_weights(self)
        lengths = None if cond.lengths is None else cond.lengths.to(x.device)
        if cond.channels is not None:
            x = torch.cat([x, cond.channels.to(x.dtype)], dim=1)
        tokens, keys = valid_tokens(cond.tokens, cond.token_lengths, x)
        size = x.shape[2:]
        x = extend(x, self.multiple, lengths)
        embedding = self.embedding(time.expand(x.shape[0]), cond.vector)
        return UNetInputs(x, embedding, self._masks(x, lengths), tokens, keys, size, lengths)

    def encode(self, entered: UNetInputs, hint: Tensor | None = None) -> list[Tensor]:
        """Return the features of every level, finest first; `hint` is added to the stem's."""
        x, embedding, masks, tokens, keys, _, _ = entered
        x = self.stem(blank(self.parts.enter(x), masks[0]))
        if hint is not None:
            x = x + hint
        features: list[Tensor] = []
        for i, encode in enumerate(self.encoder):
            if i > 0:
                x = self.down[i - 1](x)
            x = encode(x, embedding, masks[i], tokens, keys)
            features.append(x)
        return features

    def decode(self, features: Sequence[Tensor], entered: UNetInputs) -> Tensor:
        """Return the result (B, out_channels, *S) from the features of every level."""
        _, embedding, masks, tokens, keys, size, lengths = entered
        *skips, x = features
        for i in reversed(range(len(self.decoder))):
            x = self.merge[i](self.parts.join(self.up[i](x), skips[i]))
            x = self.decoder[i](x, embedding, masks[i], tokens, keys)
        x = self.head(blank(x, masks[0]))[(..., *(slice(n) for n in size))]
        return x if lengths is None else blank(x, valid_cells(lengths, 1, size[-1], x.ndim))

    def _masks(self, x: Tensor, lengths: Tensor | None) -> list[Tensor | None]:
        """For each level, the cells that a signal reaches, its last one at the coarsest whole."""
        if lengths is None:
            return [None] * len(self._cells)
        coarsest = self.multiple[-1]
        whole = (lengths + coarsest - 1) // coarsest * coarsest
        return [valid_cells(whole, cell, x.shape[-1] // cell, x.ndim) for cell in self._cells]


def _refuse_levels(levels: int, **chosen: Sequence[int]) -> None:
    """Raise ValueError for a level that the network does not have."""
    for name, some in chosen.items():
        if any(not 0 <= level < levels for level in some):
            raise ValueError(f"{name} is {tuple(some)}; levels are 0 to {levels - 1}")


def _shape(
    spatial: int,
    channels: Sequence[int],
    factors: int | Sequence[int | Sequence[int]],
    blocks: int | Sequence[int],
    kernel: int | Sequence[int],
) -> tuple[list[tuple[int, ...]], list[int], tuple[int, ...]]:
    """Return the factors of each transition, the blocks of each level, and the kernel."""
    if spatial not in (1, 2, 3):
        raise ValueError(f"spatial is {spatial}; expected 1, 2 or 3")
    levels = len(channels)
    steps = _per_transition(factors, levels - 1, spatial)
    counts = [blocks] * levels if isinstance(blocks, int) else list(blocks)
    if len(counts) != levels or min(counts, default=0) < 1:
        raise ValueError(
            f"blocks is {blocks}; expected a number of at least 1, or {levels} of them"
        )
    kernel = tuple(kernel) if isinstance(kernel, Sequence) else (kernel,) * spatial
    if len(kernel) != spatial or any(k % 2 == 0 for k in kernel):
        raise ValueError(f"kernel is {kernel}; expected an odd number, or one per axis")
    return steps, counts, kernel


def _per_transition(
    factors: int | Sequence[int | Sequence[int]], transitions: int, spatial: int
) -> list[tuple[int, ...]]:
    each = [factors] * transitions if isinstance(factors, int) else list(factors)
    steps = [(f,) * spatial if isinstance(f, int) else tuple(f) for f in each]
    if len(steps) != transitions or any(len(s) != spatial or min(s) < 1 for s in steps):
        raise ValueError(
            f"factors is {factors}; expected a number, or {transitions} of them, "
            f"each a number or {spatial} numbers of at least 1"
        )
    return steps
