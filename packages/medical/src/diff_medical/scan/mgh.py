"""MGH files of FreeSurfer, .mgh and packed .mgz: checked, and written again with their own header.

The format, and what its footer means: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader, MGHImage
from numpy.typing import NDArray

from diff_medical.scan.header import check_packing, first_bytes, quiet
from diff_medical.scan.refusal import ScanError, damaged
from diff_medical.scan.spacing import Spacing

__all__ = ["as_nifti", "open_mgh", "rewritten"]

HEADER = 284  # bytes, before the voxels
FLAG = slice(28, 30)  # of them, whether the orientation is known
DTYPES: tuple[np.dtype[Any], ...] = tuple(np.dtype(name) for name in ("u1", "i2", "i4", "f4"))


def open_mgh(path: Path) -> tuple[Any, Spacing, tuple[str, ...]]:
    """Return nibabel's MGHImage, its voxel sizes, and what is odd about its geometry.

    Raises ScanError for what is no MGH file or has no usable geometry.
    """
    packed = check_packing(path)
    head = first_bytes(path, HEADER, packed=packed)
    if len(head) < HEADER or int.from_bytes(head[:4], "big") != 1:
        raise ScanError(path, "is not an MGH file", "convert it to .nii.gz")
    with damaged(path, "its header is damaged", "export it again"), quiet():
        image: Any = MGHImage.from_filename(path)
        affine = image.affine
        spacing = tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    if not (np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-12):
        raise ScanError(path, f"has no usable geometry (voxel sizes {spacing})", "export it again")
    unknown = int.from_bytes(head[FLAG], "big") != 1
    if unknown:
        image.header["goodRASFlag"] = 0  # nibabel has put in a default orientation and set it
    notes = ("its orientation is unknown: FreeSurfer's default is used",) if unknown else ()
    return image, spacing, notes  # type: ignore[return-value]


def rewritten(image: Any, stored: NDArray[Any]) -> Any:
    """An MGHImage of `stored` with the header and footer of `image`; ValueError for a datatype
    that the format does not have.
    """
    if stored.dtype.newbyteorder("=") not in DTYPES:
        raise ValueError(
            f"MGH has no voxels of type {stored.dtype}; name a .nii.gz file as output"
        )
    header: Any = image.header.copy()
    header.set_data_dtype(stored.dtype)
    voxels: Any = stored
    return MGHImage(voxels, image.affine, header)


def as_nifti(image: Any) -> Any:
    """The NIfTI-1 header that says what the header of an MGHImage says."""
    source: MGHHeader = image.header
    header: Any = nib.Nifti1Header()
    header.set_data_shape(image.shape)
    header.set_data_dtype(image.get_data_dtype())
    header.set_xyzt_units("mm", "msec")
    zooms = source.get_zooms()  # type: ignore[no-untyped-call]
    # a size may be negative there, which the affine accounts for; a time is then no time
    sizes, times = np.abs(zooms[:3]), np.nan_to_num(np.maximum(zooms[3:], 0), posinf=0)
    header.set_zooms([float(zoom) for zoom in (*sizes, *times)])
    header.set_qform(image.affine, code="scanner")
    header.set_sform(image.affine, code="scanner")
    return header
