"""The voice's networks: from text to its average sounds, and the flow that makes a mel of them.

Everything works on rows (B, N, D), N symbols or frames. The blocks are those of Liu et al., "A
ConvNet for the 2020s" (2022), with modulation by time of Perez et al., "FiLM: Visual Reasoning
with a General Conditioning Layer" (2018); symbols also look at each other through the core's
attention with rotary positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diff_audio.spectra.frame_block import KERNEL, depthwise
from diff_core.condition import Condition
from diff_core.nn import Embedding, SelfAttention

__all__ = ["RowBlock", "TextEncoder", "Velocity"]

_RATIO = 3  # hidden width of the perceptrons


class RowBlock(nn.Module):
    """A block x + perceptron(film(norm(depthwise(x)))) on (B, N, D); the last layer starts small.

    `mask` (B, N, 1) is 1 where rows are valid: a convolution sees zeros beyond a signal's end,
    in a batch as alone.
    """

    def __init__(
        self, width: int, dilation: int = 1, *, embedding: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.randn(KERNEL, width) * KERNEL**-0.5)
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(embedding, 2 * width) if embedding else None
        self.expand = nn.Linear(width, _RATIO * width)
        self.drop = nn.Dropout(dropout)
        self.contract = nn.Linear(_RATIO * width, width)
        nn.init.normal_(self.contract.weight, std=0.1 * (_RATIO * width) ** -0.5)
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, embedding: Tensor | None = None
    ) -> Tensor:
        h = self.norm(depthwise(x if mask is None else x * mask, self.weight, self.dilation))
        if self.film is not None and embedding is not None:
            gain, shift = self.film(embedding)[:, None].chunk(2, dim=-1)
            h = h * (1 + gain) + shift
        return x + self.contract(self.drop(F.silu(self.expand(h))))


class TextEncoder(nn.Module):
    """An encoder of symbols in context: convolution over neighbours and attention over the
    sentence, in turn.

    symbols (B, I) int64, speaker (B, S), mask (B, I, 1) -> hidden (B, I, width), the mean log-mel
    of each symbol (B, I, bands), standardised, and log(1 + frames) of each, (B, I).

    The duration model sees the hidden features but does not train them (Kim et al., Glow-TTS,
    2020, section 3.2).
    """

    def __init__(
        self,
        symbols: int,
        bands: int,
        *,
        width: int,
        depth: int,
        heads: int,
        speaker_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols, width)
        self.speaker = nn.Linear(speaker_dim, width, bias=False)
        self.blocks = nn.ModuleList([RowBlock(width, dropout=dropout) for _ in range(depth)])
        self.attention = nn.ModuleList(
            [SelfAttention(1, width, heads, norm="frame", rotary=True) for _ in range(depth)]
        )
        self.norm = nn.LayerNorm(width)
        self.mean = nn.Linear(width, bands)
        self.duration = nn.ModuleList([RowBlock(width, dropout=2 * dropout) for _ in range(2)])
        self.duration_norm = nn.LayerNorm(width)
        self.log_frames = nn.Linear(width, 1)
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.log_frames.weight)
        nn.init.constant_(self.log_frames.bias, 2.0)

    def forward(
        self, symbols: Tensor, speaker: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = self.embed(symbols) + self.speaker(speaker)[:, None]
        valid = mask.transpose(1, 2).bool()
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = block(x, mask)
            x = attention(x.transpose(1, 2), valid).transpose(1, 2)
        hidden = self.norm(x)
        h = hidden.detach()
        for block in self.duration:
            h = block(h, mask)
        log_frames = self.log_frames(self.duration_norm(h))[..., 0]
        return hidden, self.mean(hidden), log_frames


class Velocity(nn.Module):
    """The flow z - x_0 at x_t, for `FromFlow`, of a signal x_0 of standard deviation `spread`.

    x (B, bands, J), time (B,), Condition(channels (B, C, J), vector (B, S), lengths (B,)).

    With n^2 = t^2 + (1 - t)^2 spread^2, the variance of x_t, the answer is

        (t - (1 - t) spread^2) / n^2 x_t + spread / n F(x_t / n, t, cond):

    the first term is the flow's best guess from x_t alone, and what is left to F has unit
    variance at every t; the preconditioning of Karras et al., "Elucidating the Design Space of
    Diffusion-Based Generative Models" (2022), for flow matching. An untrained F is 0.
    """

    def __init__(
        self,
        bands: int,
        cond_channels: int,
        *,
        width: int,
        dilations: Sequence[int],
        speaker_dim: int,
        spread: float,
    ) -> None:
        super().__init__()
        self.config: dict[str, object] = {
            "bands": bands,
            "cond_channels": cond_channels,
            "width": width,
            "dilations": tuple(dilations),
            "speaker_dim": speaker_dim,
            "spread": spread,
        }
        self.spread = spread
        embedding = 128
        self.embedding = Embedding(embedding, speaker_dim)
        self.enter = nn.Linear(bands + cond_channels, width)
        self.blocks = nn.ModuleList(
            [RowBlock(width, dilation, embedding=embedding) for dilation in dilations]
        )
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, bands)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        if cond is None or cond.channels is None or cond.vector is None:
            raise ValueError("cond needs channels (B, C, J) and vector (B, S)")
        t, variance = time[:, None, None], self.spread**2
        norm = torch.sqrt(t.square() + (1 - t).square() * variance)
        rows = torch.cat([x / norm, cond.channels], dim=1).transpose(1, 2)
        mask = None
        if cond.lengths is not None:
            mask = frames_mask(cond.lengths, x.shape[-1]).to(x.dtype)
        embedding = self.embedding(time, cond.vector)
        h = self.enter(rows)
        for block in self.blocks:
            h = block(h, mask, embedding)
        out = self.leave(self.norm(h)).transpose(1, 2).to(x.dtype)
        return (t - (1 - t) * variance) / norm.square() * x + self.spread / norm * out


def frames_mask(lengths: Tensor, rows: int) -> Tensor:
    """Return bools (B, rows, 1), true for the first `lengths` (B,) rows."""
    return (torch.arange(rows, device=lengths.device) < lengths[:, None])[..., None]
