"""A background that was set to one value: it stays as it is, and mixes into nothing.

Brains without skull, images masked by their scanner, and voxels that were never measured (NaN)
have such a background. Its value says nothing of the tissue beside it. The network is therefore
given a background that continues the tissue smoothly, and the voxels of the background keep their
value, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Background"]

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

REACH = 6  # voxels from tissue up to which a background continues it
WIDTH = 2.0  # voxels, standard deviation of the average that continues it


@dataclass(frozen=True)
class Background:
    """A volume (X, Y, Z) whose background is continued from its tissue.

    read:    returns planes of the volume along Z, float32 (X, Y, n), finite, a new array
    missing: the same of a mask of voxels that were not measured, None if there are none
    values:  the values of the background
    solid:   whether those voxels are continued too; scattered ones only stay as they are
    depth:   planes of the volume
    far:     the value beyond the reach of tissue
    """

    read: Callable[[slice], Array]
    missing: Callable[[slice], Mask] | None
    values: tuple[float, ...]
    solid: bool
    depth: int
    far: float

    def at(self, planes: slice, volume: Array) -> Mask:
        """Return which voxels of some planes are background; `volume` are their values."""
        return self._found(planes, volume, self.values)

    def _found(self, planes: slice, volume: Array, values: tuple[float, ...]) -> Mask:
        found = np.isin(volume, np.array(values, np.float32))
        return found if self.missing is None else found | self.missing(planes)

    def continued(self, planes: slice) -> Array:
        """Return some planes with the background continued.

        The average of the tissue within `REACH`, by Gaussian weights; the result does not depend
        on which planes are read together.
        """
        from scipy.ndimage import gaussian_filter1d

        wide = slice(max(0, planes.start - REACH), min(self.depth, planes.stop + REACH))
        inner = slice(planes.start - wide.start, planes.stop - wide.start)
        volume = self.read(wide)
        empty = self._found(wide, volume, self.values if self.solid else ())
        if not empty.any():
            return volume[:, :, inner]
        weight = np.where(empty, np.float32(0), np.float32(1))
        mean = (volume - np.float32(self.far)) * weight
        for axis in range(3):
            weight, mean = (
                gaussian_filter1d(
                    x, WIDTH, axis=axis, mode="constant", truncate=REACH / WIDTH
                )
                for x in (weight, mean)
            )  # fmt: skip
        near = weight > 1e-6
        filled = np.float32(self.far) + np.where(near, mean / np.where(near, weight, 1), 0)
        return np.where(empty, filled.astype(np.float32), volume)[:, :, inner]
