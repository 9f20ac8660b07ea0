"""Planes through a scan as the patient lies: what pictures and pages of a scan are made of.

Only the planes are copied, so volumes may lie on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.spacing import Spacing

__all__ = [
    "PLACES",
    "Section",
    "colour_limit",
    "flat",
    "grey_levels",
    "sections",
    "upright",
]

Array = NDArray[np.float32]
CT_WINDOW = (-160.0, 240.0)  # HU, soft tissue
PLACES = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Where planes are cut, as shares of the volume: the middle, and towards either side of it."""

WITHIN = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where they are cut through a mask, as shares of its voxels."""


@dataclass(frozen=True)
class Section:
    """Parallel planes through several volumes on one grid.

    name:  "Axial", "Coronal" or "Sagittal"
    ratio: width / height of a plane, in mm
    cuts:  (volumes, PLACES) of planes (rows, columns), the patient's head or front up and left on
           the left ("neurological")
    size:  width and height, mm
    """

    name: str
    ratio: float
    cuts: tuple[tuple[Array, ...], ...]
    size: tuple[float, float]

    def middle(self, volume: int) -> Array:
        """The middle plane of a volume."""
        return self.cuts[volume][len(PLACES) // 2]


def sections(
    volumes: Sequence[Array],
    spacing: Spacing,
    affine: NDArray[np.floating] | None,
    *,
    through: NDArray[np.bool_] | None = None,
) -> list[Section]:
    """Planes across the three axes of volumes (X, Y, Z), the axial ones first; none across an axis
    whose planes are lines.

    affine:  (4, 4), voxels to the patient's right, front and head; axes are as stored without
             one, or with one that is not usable
    through: mask (X, Y, Z) with some voxels through which planes are cut instead of at PLACES, the
             middle one through its middle
    """
    mask = None if through is None else upright(through, spacing, affine)[0]
    turned = [upright(volume, spacing, affine) for volume in volumes]
    shape, sizes = turned[0][0].shape, turned[0][1]
    found: list[Section] = []
    for axis, name in ((2, "Axial"), (1, "Coronal"), (0, "Sagittal")):
        left, right = [a for a in range(3) if a != axis]
        if min(shape[left], shape[right]) < 2:
            continue
        wide, high = shape[left] * sizes[left], shape[right] * sizes[right]
        places = [min(int(place * shape[axis]), shape[axis] - 1) for place in PLACES]
        if mask is not None:
            inside = np.cumsum(mask.sum((left, right)))
            places = np.searchsorted(inside, np.array(WITHIN) * inside[-1]).tolist()
        cuts = tuple(
            tuple(np.take(volume, place, axis=axis).T[::-1] for place in places)
            for volume, _ in turned
        )
        found.append(Section(name, wide / high, cuts, (wide, high)))
    return found


def upright(
    volume: NDArray[Any], spacing: Spacing, affine: NDArray[np.floating] | None
) -> tuple[NDArray[Any], Spacing]:
    """Volume and voxel sizes with the axes in the order right, front, head."""
    from nibabel.orientations import apply_orientation, io_orientation

    if affine is None or not np.isfinite(affine).all():
        return volume, spacing
    turn = io_orientation(affine)
    if np.isnan(turn).any():
        return volume, spacing
    first, second, third = np.argsort(turn[:, 0])
    return apply_orientation(volume, turn), (spacing[first], spacing[second], spacing[third])


def grey_levels(values: Array, modality: str) -> tuple[float, float]:
    """Black and white: the soft-tissue window of CT, else the 1st to the 99.8th percentile.

    values: a volume, a plane, or some voxels
    """
    if modality == "ct":
        return CT_WINDOW
    low, high = np.quantile(values[::2, ::2] if values.ndim > 1 else values, [0.01, 0.998])
    return float(low), float(high) if high > low else float(low) + 1.0


def colour_limit(residual: Array, contrast: float) -> float:
    """The value at the ends of the colours of a residual, of an image of that contrast."""
    return max(float(np.quantile(np.abs(residual), 0.995)), 1e-6 * contrast, 1e-12)


def flat(planes: Iterable[Array]) -> Array:
    """All voxels of some planes."""
    return np.concatenate([plane.ravel() for plane in planes])
