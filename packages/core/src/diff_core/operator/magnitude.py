"""Magnitudes of the Fourier transform without their phases: phase retrieval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Magnitude"]


@dataclass(frozen=True)
class Magnitude:
    """A(x) = |FFT(x)|, of x with zeros around it; the transform keeps the norm ("ortho").

    The problem of Phase Retrieval Algorithms: A Comparison (Fienup, 1982). A signal, its negative
    and its mirror image have the same magnitudes, so that a posterior has several modes.

    oversampling: size of the transform over that of x, from 1; each axis n of S becomes
        ceil(oversampling n) frequencies. y is (B, C, *those). At 2 the magnitudes determine the
        autocorrelation.
    Raises ValueError for an oversampling below 1.
    """

    oversampling: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.oversampling < math.inf:
            raise ValueError(f"oversampling is {self.oversampling}; expected a number from 1")

    def __call__(self, x: Tensor) -> Tensor:
        margin = [math.ceil(self.oversampling * n) - n for n in x.shape[2:]]
        padded = F.pad(x, [end for more in reversed(margin) for end in (0, more)])
        return torch.fft.fftn(padded, dim=tuple(range(2, x.ndim)), norm="ortho").abs()
