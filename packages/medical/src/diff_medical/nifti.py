"""NIfTI-1 and NIfTI-2 files in and out: what is written differs from what was read only in its
voxel values.

A scan is checked before anything is computed from it, and every refusal is one line that names the
file, what is wrong with it and what to do. Voxels go back into the datatype, slope and intercept
that they came from.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.spatialimages import ImageDataError
from numpy.typing import NDArray

from diff_core.files import replacing

from .header import ScanError, check_length, check_sum, geometry, open_image
from .intensity import Modality

__all__ = ["Scan", "ScanError", "Voxels", "read", "write"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Scan:
    """A checked NIfTI file, its voxels not yet read.

    path:     where it lies
    image:    nibabel's Nifti1Image or Nifti2Image: header with qform, sform, units, extensions
    spacing:  voxel sizes of the three spatial axes, from the affine in use
    notes:    what a user should know about the header
    modality: what the file says it is, None if it does not
    """

    path: Path
    image: Any
    spacing: tuple[float, float, float]
    notes: tuple[str, ...] = ()
    modality: Modality | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as in the file: 2 to 7 axes."""
        return tuple(int(n) for n in self.image.shape)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Shape of one volume, (X, Y, Z)."""
        return (*self.shape[:3], 1, 1)[:3]  # type: ignore[return-value]

    @property
    def volumes(self) -> int:
        """Number of volumes: the product of the axes after the third."""
        return int(np.prod(self.shape[3:], dtype=np.int64))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Datatype in the file."""
        return self.image.get_data_dtype()

    @property
    def scaling(self) -> tuple[float, float]:
        """(slope, intercept) from stored to real values."""
        return float(self.image.dataobj.slope), float(self.image.dataobj.inter)

    @cached_property
    def stored(self) -> Array:
        """Voxels as stored, (X, Y, Z, volumes): read once, a memory map if the file is not
        compressed.
        """
        try:
            stored = np.asanyarray(self.image.dataobj.get_unscaled())
            check_sum(self.path)
        except (OSError, EOFError, zlib.error, ValueError, ImageDataError) as error:
            raise ScanError(
                self.path,
                f"its voxels cannot be read, the file is cut short or damaged ({error})",
                "copy it again",
            ) from error
        return stored.reshape(*self.grid, self.volumes, order="F")

    def volume(self, index: int = 0) -> NDArray[np.float32]:
        """Real values of volume `index`, float32 (X, Y, Z), a copy."""
        slope, inter = self.scaling
        stored = self.stored[..., index]
        if (slope, inter) == (1.0, 0.0):
            return stored.astype(np.float32)
        return (stored * np.float64(slope) + np.float64(inter)).astype(np.float32)


class Voxels:
    """The voxels of a scan to be written: volumes are put in one by one.

    dtype: the scan's own, which keeps slope and intercept too, or float32, which has none
    """

    def __init__(self, scan: Scan, dtype: np.dtype[Any]) -> None:
        self.scan = scan
        self.own = dtype == scan.dtype
        if not self.own and dtype != np.float32:
            raise ValueError(
                f"dtype is {dtype}; expected {scan.dtype}, as in the file, or float32"
            )
        self.scaling = scan.scaling if self.own else (1.0, 0.0)
        self.stored = np.empty((*scan.grid, scan.volumes), dtype, order="F")

    def put(self, index: int, volume: NDArray[np.float32], *, keep: bool = False) -> None:
        """Store `volume` (X, Y, Z), real values: integers are rounded to nearest and kept in
        range.

        With `keep`, voxels that equal the file's keep its exact bits.
        """
        slope, inter = self.scaling
        target = self.stored[..., index]
        for z in range(volume.shape[2]):
            plane = (volume[..., z].astype(np.float64) - inter) / slope
            if target.dtype.kind in "iu":
                limits = np.iinfo(target.dtype)
                # the upper limit of 64-bit integers is not a float64: stop at the float below it
                top = np.nextafter(float(limits.max) + 1, 0)
                plane = np.clip(np.rint(plane), limits.min, min(limits.max, top))
            target[..., z] = plane
        if keep and self.own:
            same = volume == self.scan.volume(index)
            target[same] = self.scan.stored[..., index][same]


def read(path: Path) -> Scan:
    """Open and check the NIfTI file at `path`; its voxels are read later.

    Raises ScanError if it is missing, empty, not NIfTI, of a datatype without an order (RGB,
    complex), without voxels, with fewer than two axes longer than 1, shorter than its header says,
    or without usable geometry.
    """
    image, raw = open_image(path)
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = "colour (RGB)" if dtype.kind == "V" else "complex"
        remedy = (
            "convert it to one grey value a voxel"
            if dtype.kind == "V"
            else "give its magnitude (abs) as a file"
        )
        raise ScanError(path, f"holds {kind} voxels, not scalar ones", remedy)
    shape = tuple(int(n) for n in image.shape)
    if not shape or min(shape) < 1:
        raise ScanError(path, f"has zero voxels (shape {shape})", "export it again")
    if sum(n > 1 for n in shape[:3]) < 2:
        raise ScanError(path, f"is not an image (shape {shape})", "give a slice or a volume")
    spacing, notes = geometry(path, raw, len(shape))
    check_length(path, image, dtype)
    return Scan(path, image, spacing, notes)


def write(path: Path, voxels: Voxels, *, note: str = "") -> None:
    """Write `voxels` with the header of their scan to `path`, whole or not at all.

    `note` is appended to the header's description where it fits in its 79 bytes.
    """
    scan = voxels.scan
    header: Any = scan.image.header.copy()
    header.set_data_dtype(voxels.stored.dtype.newbyteorder(header.endianness))
    header["descrip"] = _description(header["descrip"].item(), note)
    image = type(scan.image)(voxels.stored.reshape(scan.shape, order="F"), None, header)
    # nibabel takes voxels as already scaled where a slope is set, and writes the slope as it is
    image.header.set_slope_inter(*voxels.scaling)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        image.to_filename(partial)


def _description(old: bytes, note: str) -> bytes:
    text = old.rstrip(b"\0 ")
    joined = b"; ".join(part for part in (text, note.encode()) if part)
    return joined if len(joined) <= 79 else old
