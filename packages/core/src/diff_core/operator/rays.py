"""Sums of an image along straight rays: the base of the scanners of computed tomography."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Rays"]

_CHUNK = 16
"""Angles in flight at once: bounds the memory at that many rotated images."""


@dataclass(frozen=True, eq=False)
class Rays:
    """A x: sums of x (B, C, N, N) along rays; y is (B, C, angles, detectors).

    A scanner says where its rays run (`lines`). The image is sampled along each in steps of one
    pixel by bilinear interpolation and summed, and is 0 outside; the adjoint is the transpose of
    the same sum (automatic differentiation of a linear map), exact to rounding. Integrals are in
    pixels: multiply by the pixel's size for physical units.
    """

    angles: Tensor
    size: int
    detectors: int | None = None

    def __post_init__(self) -> None:
        if self.angles.ndim != 1 or self.angles.numel() == 0:
            raise ValueError(f"angles has shape {tuple(self.angles.shape)}; expected (A,), A >= 1")
        if self.size < 1:
            raise ValueError(f"size is {self.size}; expected at least 1")
        if self.detectors is not None and self.detectors < 1:
            raise ValueError(f"detectors is {self.detectors}; expected at least 1")

    @property
    def bins(self) -> int:
        """Number of detectors: that given, or enough for the whole image."""
        return self.diagonal if self.detectors is None else self.detectors

    @property
    def diagonal(self) -> int:
        """Samples that hold the diagonal, with those of the rows among them at angle 0."""
        length = math.ceil(math.sqrt(2) * self.size)
        return length + (length - self.size) % 2

    def lines(self, angles: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Foot and direction, each (A, detectors, 2), of the rays at `angles` (A, 1).

        places: (detectors,) from the middle of the detector, in bins. The foot is the point of the
        ray that is nearest to the centre, (column, row) in pixels; the direction has length 1.
        """
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or tuple(x.shape[2:]) != (self.size, self.size):
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (B, C, {self.size}, {self.size})"
            )
        images = x.reshape(1, -1, self.size, self.size)
        sums = [
            F.grid_sample(
                images.expand(len(some), -1, -1, -1), self._points(some, x), align_corners=False
            ).sum(2)
            for some in self.angles.split(_CHUNK)
        ]
        return torch.cat(sums).movedim(0, 1).reshape(*x.shape[:2], len(self.angles), self.bins)

    def adjoint(self, y: Tensor) -> Tensor:
        if y.ndim != 4 or tuple(y.shape[2:]) != (len(self.angles), self.bins):
            raise ValueError(
                f"y has shape {tuple(y.shape)}; expected (B, C, {len(self.angles)}, {self.bins})"
            )
        with torch.enable_grad():
            x = y.new_zeros(*y.shape[:2], self.size, self.size).requires_grad_()
            (transposed,) = torch.autograd.grad(self(x), x, y)
        return transposed

    def _points(self, angles: Tensor, like: Tensor) -> Tensor:
        """Where the rays are sampled, (A, diagonal, detectors, 2), with +-1 the image's edges."""
        angles = angles.to(like.device, torch.float64)[:, None]
        places = torch.arange(self.bins).to(angles) - (self.bins - 1) / 2
        foot, direction = self.lines(angles, places)
        along = torch.arange(self.diagonal).to(angles) - (self.diagonal - 1) / 2
        points = foot[:, None] + along[:, None, None] * direction[:, None]
        return (points * (2 / self.size)).to(like.dtype)
