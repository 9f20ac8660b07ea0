"""Heads that are no one's: mirrored, bent, and halves of two people side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Augmentation", "bent", "joined", "mirrored"]

CONTROL = (5, 6, 5)  # points over the grid: 36 mm apart
BEND = 0.035  # deviation of a control point, half sides of the grid: 2.5 mm
SCALE, SHEAR = 0.02, 0.012  # deviations
SEAM = 0.7  # voxels over which one half goes over into the other


@dataclass(frozen=True)
class Augmentation:
    """The changes of training heads.

    bend:   strength of scale, shear and smooth bends: 1 is 2 % of scale and 2.5 mm of bends
            (standard deviations)
    bent:   share of items that are bent
    joined: share of items whose halves are of two people, of the anatomy alone

    Raises ValueError for a share outside 0 to 1 or a negative strength.
    """

    bend: float = 1.0
    bent: float = 1.0
    joined: float = 0.15

    def __post_init__(self) -> None:
        for name in ("bent", "joined"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if not self.bend >= 0:
            raise ValueError(f"bend is {self.bend}; expected 0 or more")


def bent(places: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Return where to read a deformed head, for the places (1, *S, 3) of `places.coordinates`."""
    scale = torch.diag(torch.randn(3, generator=generator) * SCALE)
    matrix = torch.eye(3) + strength * (torch.randn(3, 3, generator=generator) * SHEAR + scale)
    control = torch.randn(1, 3, *CONTROL, generator=generator) * (strength * BEND)
    bend = F.grid_sample(control, places, padding_mode="border", align_corners=True)
    return places @ matrix.T + bend.permute(0, 2, 3, 4, 1)


def mirrored(x: Tensor) -> Tensor:
    """Left and right exchanged, of (..., X, Y, Z)."""
    return x.flip(-3)


def joined(left: Tensor, right: Tensor) -> Tensor:
    """The left half of the grid of one, (..., X, Y, Z), beside the right half of another."""
    size = left.shape[-3]
    weight = torch.sigmoid(((size - 1) / 2 - torch.arange(size)) / SEAM)[:, None, None]
    return left * weight + right * (1 - weight)
