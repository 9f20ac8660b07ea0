"""What a network may be told beside the noisy signal and the time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Condition"]


@dataclass(frozen=True)
class Condition:
    """All the conditioning that the networks here understand; a domain only fills it in.

    vector:   (B, D)      a label, a speaker, a dose: modulates every block (FiLM)
    channels: (B, C, *S)  an aligned signal (noisy input, mel, mask): concatenated to the input
    tokens:   (B, L, D)   a sequence (text): cross-attention
    lengths:  (B,)        number of valid entries along the last axis of the signal
    """

    vector: Tensor | None = None
    channels: Tensor | None = None
    tokens: Tensor | None = None
    lengths: Tensor | None = None
