"""The monotonic alignment search: which symbol each frame belongs to.

Kim et al., "Glow-TTS: A Generative Flow for Text-to-Speech via Monotonic Alignment Search" (2020),
algorithm 1. Of all alignments that start at the first symbol and the first frame, end at the last
of both, and from frame to frame stay or go on by one symbol, the most probable:

    Q(i, j) = max(Q(i, j - 1), Q(i - 1, j - 1)) + s(i, j)

with s(i, j) the log-probability of frame j under symbol i. All signals of a batch and all symbols
are treated at once; only frames are walked one by one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["diagonal_prior", "expand", "monotonic_alignment", "spread"]


@torch.no_grad()
def monotonic_alignment(score: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Return the frames of each symbol, (B, I) int64, on the best alignment; 0 beyond a text's
    end.

    score:  (B, I, J), log-probability of frame j under symbol i; what is beyond the ends is free
    tokens: (B,), number of symbols; frames: (B,), number of frames

    Among equal alignments the one that goes on latest is taken. Raises ValueError where a
    text has more symbols than its recording has frames: each symbol lasts a frame at least.
    """
    batch, most, length = score.shape
    if bool((tokens > frames).any()) or bool((tokens < 1).any()):
        row = int((tokens - frames).argmax())
        raise ValueError(
            f"row {row} has {int(tokens[row])} symbols and {int(frames[row])} frames; "
            "expected at least one symbol, and a frame for each"
        )
    never = score.new_full((batch, 1), -math.inf)
    best = torch.cat([score[:, :1, 0], never.expand(-1, most - 1)], dim=1)
    entered = torch.zeros(length, batch, most, dtype=torch.bool, device=score.device)
    for j in range(1, length):
        before = torch.cat([never, best[:, :-1]], dim=1)
        entered[j] = before > best
        best = torch.maximum(before, best) + score[:, :, j]
    rows = torch.arange(batch, device=score.device)
    token = tokens.to(score.device) - 1
    durations = torch.zeros(batch, most, dtype=torch.int64, device=score.device)
    for j in range(length - 1, -1, -1):
        inside = (frames.to(score.device) > j).long()
        durations[rows, token] += inside
        token = token - entered[j, rows, token].long() * inside
    return durations


def expand(values: Tensor, durations: Tensor, frames: int) -> Tensor:
    """Return values of symbols (B, I, D) as those of their frames (B, frames, D); 0 beyond the
    last.

    Frame j belongs to the first symbol whose durations up to and with it exceed j.
    """
    ends = durations.cumsum(1)
    index = torch.arange(frames, device=values.device).expand(len(values), -1).contiguous()
    owner = torch.searchsorted(ends, index, right=True)
    inside = owner < durations.shape[1]
    owner = owner.clamp(max=durations.shape[1] - 1)[..., None].expand(-1, -1, values.shape[-1])
    return values.gather(1, owner) * inside[..., None]


def spread(tokens: Tensor, frames: Tensor, most: int) -> Tensor:
    """Return durations (B, most) that share `frames` (B,) out evenly among `tokens` (B,)
    symbols.
    """
    edges = torch.arange(most + 1, device=tokens.device).minimum(tokens[:, None])
    return (edges * frames[:, None] // tokens[:, None]).diff(dim=1)


def diagonal_prior(tokens: int, frames: int, strength: float = 1.0) -> Tensor:
    """Return the log-probability (tokens, frames) of each symbol at each frame, largest along the
    diagonal.

    Beta-binomial in the symbol with alpha = strength j, beta = strength (frames - j + 1), j from
    1: Badlani et al., "One TTS Alignment To Rule Them All" (2021), section 2.3.
    """
    j = torch.arange(1, frames + 1, dtype=torch.float64)
    i = torch.arange(tokens, dtype=torch.float64)[:, None]
    alpha, beta, n = strength * j, strength * (frames - j + 1), float(tokens - 1)

    def log_beta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    choose = -math.log(n + 1) - log_beta(n - i + 1, i + 1)
    return (choose + log_beta(i + alpha, n - i + beta) - log_beta(alpha, beta)).float()
