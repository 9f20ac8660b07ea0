"""The grid of the brain generator, and the classes of its label maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "TISSUES", "Grid"]

CLASSES = (
    "background",
    "cerebrospinal fluid",
    "cortical grey matter",
    "white matter",
    "deep grey matter",
    "cerebellum",
)
"""The name of each label, 0 to 5."""

TISSUES = len(CLASSES) - 1
"""The classes but the background: the channels of fractions."""


@dataclass(frozen=True)
class Grid:
    """The voxels of all heads, which are aligned to a template by a turn, a shift and one scale.

    shape:  voxels to the right, the front and the head; multiples of 16
    voxel:  mm, in the mean head
    scale:  size of the mean head in units of the template
    centre: of the grid, mm in the space of the template

    Raises ValueError for a shape that is no multiple of 8, or sizes that are not above 0.
    """

    shape: tuple[int, int, int] = (96, 112, 96)
    voxel: float = 1.5
    scale: float = 0.878
    centre: tuple[float, float, float] = (0.0, -17.0, 6.5)

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or any(n < 16 or n % 16 for n in self.shape):
            raise ValueError(f"shape is {self.shape}; expected three multiples of 16")
        for name in ("voxel", "scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected above 0")

    def cells(self, factor: int) -> tuple[int, int, int]:
        """Return the shape of the grid of cells of `factor` voxels along each axis."""
        x, y, z = (n // factor for n in self.shape)
        return x, y, z

    def in_template(self) -> NDArray[np.float64]:
        """Return the affine (4, 4) from voxels to mm of the template, RAS+."""
        return self._affine(self.voxel / self.scale, np.array(self.centre))

    def in_head(self, size: float = 1.0) -> NDArray[np.float64]:
        """Return the affine (4, 4) from voxels to mm of a head of `size` times the mean one.

        The axes and the origin are the template's: in MNI space the origin is near the anterior
        commissure.
        """
        return self._affine(self.voxel * size, np.array(self.centre) * self.scale * size)

    def _affine(self, voxel: float, centre: NDArray[np.float64]) -> NDArray[np.float64]:
        affine = np.diag([voxel, voxel, voxel, 1.0])
        affine[:3, 3] = centre - voxel * (np.array(self.shape) - 1) / 2
        return affine
