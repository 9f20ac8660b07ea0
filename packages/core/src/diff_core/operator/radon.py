"""Parallel-beam line integrals of an image: computed tomography."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.operator.rays import Rays

__all__ = ["Radon"]


@dataclass(frozen=True, eq=False)
class Radon(Rays):
    """A x: sums of x (B, C, N, N) along parallel rays; y is (B, C, angles, detectors).

    With column coordinate u, row coordinate v (down), both 0 at the centre and in pixels,

        y[a, s] = int x(s cos a - r sin a, s sin a + r cos a) dr :

    angle 0 sums the rows, pi/2 the columns. The sum and its exact adjoint are those of `Rays`.

    angles: (A,) in radians
    size: N
    detectors: number of bins, one pixel apart; by default enough for the diagonal

    Raises ValueError for other shapes.
    """

    def lines(self, angles: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        across = torch.stack([angles.cos(), angles.sin()], -1)
        along = torch.stack([-angles.sin(), angles.cos()], -1)
        return places[:, None] * across, along.expand(-1, len(places), -1)
