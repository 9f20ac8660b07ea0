"""Embedding of the time and of a vector condition."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Embedding", "FourierFeatures"]


class FourierFeatures(nn.Module):
    """cos and sin of a scalar at geometrically spaced frequencies: (B,) -> (B, features).

    The frequencies are fixed, from 1/8 to 16 cycles per unit: smooth enough for log(sigma)/4 in
    about [-2, 2], fine enough for t in [0, 1]. In a network of lower precision the angles are
    still those of float32, where neighbouring times do not collide.
    """

    frequencies: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        if features % 2:
            raise ValueError(f"features is {features}; expected an even number")
        self.features = features
        self.register_buffer("frequencies", _frequencies(features // 2), persistent=False)

    def forward(self, time: Tensor) -> Tensor:
        dtype, frequencies = self.frequencies.dtype, self.frequencies
        if dtype.itemsize < 4:
            frequencies = _frequencies(self.features // 2, time.device)
        angle = time[:, None].to(frequencies.dtype) * frequencies
        return torch.cat([angle.cos(), angle.sin()], dim=1).to(dtype)


def _frequencies(number: int, device: torch.device | None = None) -> Tensor:
    return 2.0 * math.pi * 2.0 ** torch.linspace(-3.0, 4.0, number, device=device)


class Embedding(nn.Module):
    """Time (B,) and, if `vector_dim` > 0, a vector (B, vector_dim) -> (B, features)."""

    def __init__(self, features: int, vector_dim: int = 0) -> None:
        super().__init__()
        self.fourier = FourierFeatures(64)
        self.time = nn.Linear(64, features)
        self.vector = nn.Linear(vector_dim, features, bias=False) if vector_dim else None
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(features, features), nn.SiLU())

    def forward(self, time: Tensor, vector: Tensor | None = None) -> Tensor:
        features = self.time(self.fourier(time).to(self.time.weight.dtype))
        if self.vector is not None and vector is not None:
            features = features + self.vector(vector.to(features.dtype))
        return self.mix(features)
