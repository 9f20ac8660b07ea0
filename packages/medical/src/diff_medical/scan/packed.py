"""A volume as the bytes of a small NIfTI file, for programs that read one from memory."""

from __future__ import annotations

import gzip

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.spacing import Spacing

__all__ = ["packed"]

TOP = 65_000  # whole steps that fit into 16 bits


def packed(
    volume: NDArray[np.float32],
    spacing: Spacing,
    affine: NDArray[np.floating],
    step: float,
    *,
    levels: tuple[float, float],
    note: str = "",
) -> bytes:
    """Return a volume (X, Y, Z) as a .nii.gz file: 16 bits with slope and intercept.

    affine: (4, 4), voxels to mm; one that is not usable gives way to the voxel sizes alone
    step:   values are kept to half of it or of 1, the smaller of both, or to a 65000th of their
            range. The step that is written is a power of two, so whole numbers stay whole.
    levels: the values of black and white, for the header; NaN becomes black
    note:   the description in the header, at most 79 bytes
    """
    from nibabel.nifti1 import Nifti1Image

    values = np.nan_to_num(volume.astype(np.float32), nan=levels[0])
    low, span = float(values.min()), float(values.max()) - float(values.min())
    step = min(2.0 ** np.floor(np.log2(step)), 1.0) if step > 0 else 0.0
    if span > 0:
        step = max(step, 2.0 ** np.ceil(np.log2(span / TOP)))
    step = float(step or 1.0)
    low = step * np.floor(low / step)
    whole = np.empty(values.shape, np.int16, order="F")
    for z in range(values.shape[2]):  # little memory, and the differences in double precision
        whole[..., z] = np.rint((values[..., z].astype(np.float64) - low) / step) - 2**15
    if not np.isfinite(affine).all() or not abs(np.linalg.det(affine[:3, :3])) > 0:
        affine = np.diag([*spacing, 1.0])
    image = Nifti1Image(whole, affine)
    image.header.set_slope_inter(step, low + 2**15 * step)
    image.header.set_xyzt_units("mm")
    image.header["cal_min"], image.header["cal_max"] = levels
    image.header["descrip"] = note.encode()
    return gzip.compress(image.to_bytes(), 4, mtime=0)
