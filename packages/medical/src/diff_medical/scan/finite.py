"""Scans with voxels that are NaN or Inf: refused, or those voxels are set to 0."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.nifti import WHOLE, Scan
from diff_medical.scan.refusal import ScanError

__all__ = ["Reader", "finite"]

Array = NDArray[np.float32]
PLANES = 1 << 24  # voxels that are looked at together


class Reader(Protocol):
    """Volume `index` of a scan, or some of its planes along Z: float32 (X, Y, Z), a copy."""

    def __call__(self, index: int, planes: slice = WHOLE) -> Array: ...


def finite(scan: Scan, nan_to_zero: bool) -> tuple[Reader, int]:
    """A reader of volumes without NaN or Inf, and how many voxels it sets to 0.

    Raises ScanError where there are some and they may not be set to 0.
    """
    bad, where = (0, ()) if _is_safe(scan) else _bad(scan)
    if bad and not nan_to_zero:
        raise ScanError(
            scan.path,
            f"{bad:,} of {int(np.prod(scan.shape)):,} voxels are NaN or Inf, the first at {where}",
            "add --nan-to-zero to take them for 0",
        )
    if not bad:
        return scan.volume, 0

    def zeroed(index: int, planes: slice = WHOLE) -> Array:
        volume = scan.volume(index, planes)
        return np.nan_to_num(volume, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    return zeroed, bad


def _is_safe(scan: Scan) -> bool:
    """Whether every value of the datatype is a number, also after slope and intercept."""
    if scan.dtype.kind == "f":
        return False
    slope, inter = scan.scaling
    limits = np.iinfo(scan.dtype)
    largest = max(abs(limits.min), limits.max) * abs(slope) + abs(inter)
    return largest < float(np.finfo(np.float32).max)


def _bad(scan: Scan) -> tuple[int, tuple[int, ...]]:
    """How many voxels are not finite, and the first of them: in the order of planes along Z."""
    bad, where = 0, ()
    thickness = max(1, PLANES // (scan.grid[0] * scan.grid[1]))
    for index in range(scan.volumes):
        for first in range(0, scan.grid[2], thickness):
            wrong = ~np.isfinite(scan.volume(index, slice(first, first + thickness)))
            count = int(np.count_nonzero(wrong))
            if count and not bad:
                x, y, z = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
                place = (x, y, z + first)[: len(scan.shape)]
                where = (*place, *((index,) if scan.volumes > 1 else ()))
            bad += count
    return bad, where
