"""One U-Net for signals, images and volumes.

Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation (2015), with
the residual blocks and the time modulation of Dhariwal and Nichol, Diffusion Models Beat GANs on
Image Synthesis (2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recompute

from diff_core.condition import Condition
from diff_core.nn.blocks import ResidualBlock, SelfAttention
from diff_core.nn.embed import Embedding
from diff_core.nn.layers import Activation, Norm, conv, conv_transpose

__all__ = ["UNet"]


class _Level(nn.Module):
    """The blocks at one resolution: residual, each followed by attention where asked for."""

    def __init__(
        self, blocks: Sequence[ResidualBlock], attention: Sequence[SelfAttention]
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attention = nn.ModuleList(attention)
        self.checkpoint = False

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        if self.checkpoint and torch.is_grad_enabled():
            return recompute(self._run, x, embedding, use_reentrant=False)  # type: ignore[return-value]
        return self._run(x, embedding)

    def _run(self, x: Tensor, embedding: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, embedding)
            if len(self.attention):
                x = self.attention[i](x)
        return x


class UNet(nn.Module):
    """A U-Net over 1, 2 or 3 axes, conditioned on time, a vector and aligned channels.

    spatial:       1, 2 or 3 axes
    in_channels:   channels of x; out_channels: of the result
    channels:      width of each level, finest first
    blocks:        residual blocks per level, in the encoder and again in the decoder
    factors:       downsampling between levels: one number, or one per transition, each a number or
                   one per axis (thick slices: ((1, 2, 2), (2, 2, 2)))
    kernel:        odd, a number or one per axis
    norm, activation, bias: see `diff_core.nn.layers`; norm="none", activation="relu" and
                   bias=False make a network homogeneous of degree one
    attention:     levels (0 = finest) with self-attention
    heads:         attention heads
    vector_dim:    size of `Condition.vector`, 0 for none
    cond_channels: channels of `Condition.channels`, concatenated to x, 0 for none
    embedding:     width of the time and vector embedding
    checkpoint:    levels whose activations are recomputed in the backward pass to save memory

    Any size is taken: the input is padded at the end (edge values) to a multiple of the product of
    the factors and the result cropped. The last convolution starts at zero, so an untrained
    network returns zero.

    Raises ValueError when the settings contradict each other, when an input has a wrong shape,
    and when a condition is missing or is one that the network does not take.
    """

    def __init__(
        self,
        spatial: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (64, 128, 256),
        *,
        blocks: int = 2,
        factors: int | Sequence[int | Sequence[int]] = 2,
        kernel: int | Sequence[int] = 3,
        norm: Norm = "group",
        activation: Activation = "silu",
        bias: bool = True,
        attention: Sequence[int] = (),
        heads: int = 4,
        vector_dim: int = 0,
        cond_channels: int = 0,
        embedding: int = 128,
        checkpoint: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if spatial not in (1, 2, 3):
            raise ValueError(f"spatial is {spatial}; expected 1, 2 or 3")
        steps = _per_transition(factors, len(channels) - 1, spatial)
        kernel = tuple(kernel) if isinstance(kernel, Sequence) else (kernel,) * spatial
        if len(kernel) != spatial or any(k % 2 == 0 for k in kernel):
            raise ValueError(f"kernel is {kernel}; expected an odd number, or one per axis")
        for name, levels in (("attention", attention), ("checkpoint", checkpoint)):
            if any(not 0 <= level < len(channels) for level in levels):
                raise ValueError(f"{name} is {tuple(levels)}; levels are 0 to {len(channels) - 1}")
        self.config: dict[str, object] = {
            "spatial": spatial,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "channels": tuple(channels),
            "blocks": blocks,
            "factors": tuple(steps),
            "kernel": kernel,
            "norm": norm,
            "activation": activation,
            "bias": bias,
            "attention": tuple(attention),
            "heads": heads,
            "vector_dim": vector_dim,
            "cond_channels": cond_channels,
            "embedding": embedding,
            "checkpoint": tuple(checkpoint),
        }
        self.spatial = spatial
        self.in_channels = in_channels
        self.vector_dim = vector_dim
        self.cond_channels = cond_channels
        self.multiple = tuple(math.prod(step[axis] for step in steps) for axis in range(spatial))

        def level(index: int) -> _Level:
            width = channels[index]
            made = _Level(
                [
                    ResidualBlock(
                        spatial,
                        width,
                        width,
                        embedding,
                        kernel=kernel,
                        norm=norm,
                        activation=activation,
                        bias=bias,
                    )
                    for _ in range(blocks)
                ],
                [SelfAttention(spatial, width, heads, norm=norm) for _ in range(blocks)]
                if index in attention
                else [],
            )
            made.checkpoint = index in checkpoint
            return made

        depth = range(len(steps))
        self.embedding = Embedding(embedding, vector_dim)
        self.stem = conv(spatial, in_channels + cond_channels, channels[0], kernel, bias=bias)
        self.encoder = nn.ModuleList([level(i) for i in range(len(channels))])
        self.down = nn.ModuleList(
            [
                conv(spatial, channels[i], channels[i + 1], steps[i], stride=steps[i], bias=bias)
                for i in depth
            ]
        )
        self.up = nn.ModuleList(
            [
                conv_transpose(spatial, channels[i + 1], channels[i], steps[i], bias=bias)
                for i in depth
            ]
        )
        self.merge = nn.ModuleList(
            [conv(spatial, 2 * channels[i], channels[i], 1, bias=bias) for i in depth]
        )
        self.decoder = nn.ModuleList([level(i) for i in depth])
        self.head = conv(spatial, channels[0], out_channels, kernel, bias=bias, zero=True)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """x (B, in_channels, *S), time () or (B,) -> (B, out_channels, *S)."""
        cond = cond or Condition()
        self._check(x, time, cond)
        if cond.channels is not None:
            x = torch.cat([x, cond.channels.to(x.dtype)], dim=1)
        size = x.shape[2:]
        x = _pad(x, self.multiple)
        embedding = self.embedding(time.expand(x.shape[0]), cond.vector)

        x = self.stem(x)
        skips: list[Tensor] = []
        for i, encode in enumerate(self.encoder):
            if i > 0:
                x = self.down[i - 1](x)
            x = encode(x, embedding)
            skips.append(x)
        skips.pop()
        for i in reversed(range(len(self.decoder))):
            x = self.merge[i](torch.cat([self.up[i](x), skips[i]], dim=1))
            x = self.decoder[i](x, embedding)
        return self.head(x)[(..., *(slice(n) for n in size))]

    def _check(self, x: Tensor, time: Tensor, cond: Condition) -> None:
        if x.ndim != self.spatial + 2 or x.shape[1] != self.in_channels:
            axes = ", ".join("*" * self.spatial)
            raise ValueError(f"x is {tuple(x.shape)}; expected (B, {self.in_channels}, {axes})")
        if time.ndim > 1 or (time.ndim == 1 and time.shape[0] not in (1, x.shape[0])):
            raise ValueError(f"time is {tuple(time.shape)}; expected () or ({x.shape[0]},)")
        _expect("cond.vector", cond.vector, (x.shape[0], self.vector_dim), self.vector_dim > 0)
        _expect(
            "cond.channels",
            cond.channels,
            (x.shape[0], self.cond_channels, *x.shape[2:]),
            self.cond_channels > 0,
        )
        _expect("cond.tokens", cond.tokens, (), False)
        _expect("cond.lengths", cond.lengths, (), False)


def _expect(name: str, given: Tensor | None, shape: tuple[int, ...], wanted: bool) -> None:
    if wanted and (given is None or tuple(given.shape) != shape):
        found = "None" if given is None else str(tuple(given.shape))
        raise ValueError(f"{name} is {found}; expected {shape}")
    if given is not None and not wanted:
        raise ValueError(f"{name} is {tuple(given.shape)}; this network takes none")


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


def _pad(x: Tensor, multiple: tuple[int, ...]) -> Tensor:
    missing = [-n % m for n, m in zip(x.shape[2:], multiple, strict=True)]
    if not any(missing):
        return x
    amounts = [amount for n in reversed(missing) for amount in (0, n)]
    return F.pad(x, amounts, mode="replicate")
