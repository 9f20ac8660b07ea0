"""A real brain on the grid of the model, of which relatives are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """One brain.

    scan:   (X, Y, Z) without shading, white matter near 1, air 0
    labels: (X, Y, Z) uint8, `grid.CLASSES`
    affine: (4, 4) from voxels to mm of the scan that was read
    name:   of the file, for the mark

    Raises ValueError for a scan and labels of different shapes.
    """

    scan: NDArray[np.float32]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    name: str = ""

    def __post_init__(self) -> None:
        if self.scan.shape != self.labels.shape:
            raise ValueError(
                f"scan has shape {self.scan.shape}, labels {self.labels.shape}; expected the same"
            )

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scan and labels (1, X, Y, Z)."""
        scan, labels = (
            torch.from_numpy(np.ascontiguousarray(v)) for v in (self.scan, self.labels)
        )
        return scan[None], labels[None]
