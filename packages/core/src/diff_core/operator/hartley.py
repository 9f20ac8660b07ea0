"""The Hartley transform: the basis of real signals that every periodic convolution is diagonal in.

H x = Re(F x) - Im(F x) with the orthonormal Fourier transform F: real, symmetric, its own inverse
(A More Symmetrical Fourier Analysis Applied to Transmission Problems, Hartley, 1942).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["hartley", "inverted"]


def hartley(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """H x along `axes`; H (H x) = x."""
    spectrum = torch.fft.fftn(x, dim=axes, norm="ortho")
    return spectrum.real - spectrum.imag


def inverted(spectrum: Tensor, singular: Tensor) -> Tensor:
    """diag(1/s) U^T y from V^T A^T y = diag(s) U^T y, with 0 where s = 0."""
    return torch.where(singular > 0, spectrum / singular.square(), 0.0)
