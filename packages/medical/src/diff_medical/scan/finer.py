"""The header of a scan with more and thinner slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["HeaderEdit", "finer_header"]

HeaderEdit = Callable[[Any], None]
"""An edit of a NIfTI header, in place."""


def finer_header(axis: int, slices: int, count: int) -> HeaderEdit:
    """Return the edit for `count` slices in place of `slices`, which fill the same length.

    Voxel size, sform and qform change along the axis alone; the first voxel begins where it did.
    Times of slices, which the new ones do not have, are left out.
    """
    ratio = slices / count

    def edit(header: Any) -> None:
        sform = header.get_sform() if header["sform_code"] > 0 else None
        qform = header.get_qform() if header["qform_code"] > 0 else None
        header["pixdim"][axis + 1] *= ratio
        if sform is not None:
            sform[:3, 3] += sform[:3, axis] * (ratio - 1) / 2
            sform[:3, axis] *= ratio
            for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
                header[name] = sform[row]
        if qform is not None:
            offset = qform[:3, 3] + qform[:3, axis] * (ratio - 1) / 2
            for value, name in zip(offset, ("qoffset_x", "qoffset_y", "qoffset_z"), strict=True):
                header[name] = value
        if header.get_dim_info()[2] == axis:
            for name in ("slice_start", "slice_end", "slice_code", "slice_duration"):
                header[name] = 0

    return edit
