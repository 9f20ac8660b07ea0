"""Scans with voxels that are NaN or Inf: refused, or those voxels are read as 0. Scans with
voxels that are too large for 32-bit numbers are refused.
"""

from __future__ import annotations

import numpy as np

from diff_medical.scan import scratch
from diff_medical.scan.intensity import LARGEST
from diff_medical.scan.nifti import Scan
from diff_medical.scan.refusal import ScanError

__all__ = ["zeroed"]

PLANES = 1 << 24  # voxels that are looked at together


def zeroed(scan: Scan) -> int:
    """Return the number of voxels of a scan that are NaN or Inf and are read as 0.

    Raises ScanError where there are some and the scan was opened without `nan_to_zero`, and where
    another voxel is beyond `LARGEST`.
    """
    bad, where, largest = (0, (), 0.0) if _is_safe(scan) else _bad(scan)
    if bad and not scan.nan_to_zero:
        raise ScanError(
            scan.path,
            f"{bad:,} of {int(np.prod(scan.shape)):,} voxels are NaN or Inf, the first at {where}",
            "add keep_nan=True to keep them, or nan_to_zero=True to take them for 0",
        )
    if largest > LARGEST:
        raise ScanError(
            scan.path,
            f"holds values up to {largest:.3g}, beyond {LARGEST:.0e}",
            "set such voxels to NaN and add keep_nan=True, or divide the scan by a constant",
        )
    return bad


def _is_safe(scan: Scan) -> bool:
    """Return True if every value of the datatype is small enough, also after slope and
    intercept.
    """
    if scan.dtype.kind == "f":
        return False
    slope, inter = scan.scaling
    limits = np.iinfo(scan.dtype)
    largest = max(abs(limits.min), limits.max) * abs(slope) + abs(inter)
    return largest <= LARGEST


def _bad(scan: Scan) -> tuple[int, tuple[int, ...], float]:
    """Return the number of voxels that are not finite, the first of them, in the order of planes
    along Z, and the largest magnitude of the others.
    """
    bad, where, largest = 0, (), 0.0
    thickness = max(1, PLANES // (scan.grid[0] * scan.grid[1]))
    for index in range(scan.volumes):
        for first in range(0, scan.grid[2], thickness):
            values = scan.values(index, slice(first, first + thickness))
            wrong = ~np.isfinite(values)
            largest = max(largest, float(np.abs(values).max(initial=0.0, where=~wrong)))
            count = int(np.count_nonzero(wrong))
            if count and not bad:
                x, y, z = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
                place = (x, y, z + first)[: len(scan.shape)]
                where = (*place, *((index,) if scan.volumes > 1 else ()))
            bad += count
        scratch.release(scan.stored)
    return bad, where, largest
