"""NIfTI, MGH, NRRD and MetaImage files in and out: what is written differs from what was read only
in its voxel values. Images of two files are read, and written as one.

A scan is checked before anything is computed from it, and every refusal is one line that names the
file, what is wrong with it and what to do. Voxels go back into the datatype, slope and intercept
that they came from.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHImage
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from diff_core.files import replacing
from diff_medical.scan import scratch
from diff_medical.scan.header import check_length, check_sum, geometry, is_packed, open_image
from diff_medical.scan.intensity import Modality
from diff_medical.scan.itk import ItkImage, open_itk, save_itk
from diff_medical.scan.kinds import ITK, MGH, single
from diff_medical.scan.mgh import as_nifti, open_mgh, rewritten
from diff_medical.scan.pair import is_pair, open_pair
from diff_medical.scan.refusal import ScanError, damaged
from diff_medical.scan.spacing import Spacing

__all__ = ["WHOLE", "Scan", "ScanError", "Voxels", "check_kind", "on_grid", "read", "write"]

Array = NDArray[Any]
WHOLE = slice(None)
"""The range of all slices."""


@dataclass(frozen=True)
class Scan:
    """A checked file of a scan, its voxels not yet read.

    path:     where it lies
    image:    nibabel's Nifti1Image, Nifti2Image or MGHImage, with all of its header; of a NRRD or
              MetaImage file an `ItkImage`
    spacing:  voxel sizes of the three spatial axes, from the affine in use
    notes:    what a user should know about the header
    modality: what the file says it is, None if it does not
    nan_to_zero: whether voxels that are NaN or Inf are read as 0
    """

    path: Path
    image: Any
    spacing: Spacing
    notes: tuple[str, ...] = ()
    modality: Modality | None = None
    nan_to_zero: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as in the file: 2 to 7 axes."""
        return tuple(int(n) for n in self.image.shape)

    @property
    def grid(self) -> tuple[int, int, int]:
        """The shape of one volume, (X, Y, Z)."""
        return (*self.shape[:3], 1, 1)[:3]  # type: ignore[return-value]

    @property
    def volumes(self) -> int:
        """The number of volumes: the product of the axes after the third."""
        return int(np.prod(self.shape[3:], dtype=np.int64))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The datatype in the file."""
        return self.image.get_data_dtype()

    @property
    def scaling(self) -> tuple[float, float]:
        """The pair (slope, intercept) from stored to real values."""
        return float(self.image.dataobj.slope), float(self.image.dataobj.inter)

    @property
    def is_oriented(self) -> bool:
        """True if the file says how the scan lies in the patient."""
        header = self.image.header
        if isinstance(self.image, MGHImage):
            return int(header["goodRASFlag"]) == 1
        return bool(header["sform_code"] > 0 or header["qform_code"] > 0)

    @property
    def is_large(self) -> bool:
        """True if a volume, or all of a series, is too large to be held in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) > scratch.LARGE

    @cached_property
    def stored(self) -> Array:
        """The voxels as stored, (X, Y, Z, volumes): read once. A memory map if the file is not
        compressed, and if it is and volumes are large, that of a temporary file.
        """
        problem = "its voxels cannot be read, the file is cut short or damaged"
        with damaged(self.path, problem, "copy it again"):
            stored = self._read()
        return stored.reshape(*self.grid, self.volumes, order="F")

    def _read(self) -> Array:
        if not (self.is_large and is_packed(self.path)):
            stored = np.asanyarray(self.image.dataobj.get_unscaled())
            check_sum(self.path)
            return stored
        with gzip.open(self.path) as file:
            file.seek(self.image.dataobj.offset)
            return scratch.unpacked(file, self.image.dataobj.dtype, self.shape)

    def volume(self, index: int = 0, planes: slice = WHOLE) -> NDArray[np.float32]:
        """Return volume `index`, or some of its planes along Z: real values, float32 (X, Y, Z), a
        copy.
        """
        values = self.values(index, planes)
        if self.nan_to_zero:
            return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return values

    def evened(self, voxels: Voxels) -> Voxels:
        """Return voxels of this scan for a file of even slices, as those of most scans are."""
        return voxels

    def values(self, index: int = 0, planes: slice = WHOLE) -> NDArray[np.float32]:
        """Return the same with NaN and infinity as they are."""
        slope, inter = self.scaling
        stored = self.stored[:, :, planes, index]
        with np.errstate(over="ignore"):  # infinity, which `zeroed` then finds
            if (slope, inter) == (1.0, 0.0):
                return stored.astype(np.float32)
            return (stored * np.float64(slope) + np.float64(inter)).astype(np.float32)


class Voxels:
    """The voxels of a scan to be written: volumes are put in one by one.

    dtype: the scan's own, which keeps slope and intercept too, or float32, which has none
    shape: of the file, by default the scan's; the number of volumes is the scan's
    """

    def __init__(
        self, scan: Scan, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None
    ) -> None:
        self.scan, self.shape = scan, shape or scan.shape
        self.own = dtype == scan.dtype
        if not self.own and dtype != np.float32:
            raise ValueError(
                f"dtype is {dtype}; expected {scan.dtype}, as in the file, or float32"
            )
        self.scaling = scan.scaling if self.own else (1.0, 0.0)
        grid = (*self.shape[:3], 1, 1)[:3]
        size = int(np.prod(grid, dtype=np.int64)) * scan.volumes
        self.stored = scratch.empty((*grid, scan.volumes), dtype, large=size > scratch.LARGE)

    def put(
        self, index: int, volume: NDArray[np.float32], *, keep: bool = False, first: int = 0
    ) -> None:
        """Store `volume` (X, Y, Z), real values, whole or its planes from the `first` on along Z:
        integers are rounded to nearest and kept in range.

        With `keep`, voxels that equal the file's keep its exact bits.
        """
        slope, inter = self.scaling
        planes = slice(first, first + volume.shape[2])
        target = self.stored[:, :, planes, index]
        for z in range(volume.shape[2]):
            plane = (volume[..., z].astype(np.float64) - inter) / slope
            if target.dtype.kind in "iu":
                limits = np.iinfo(target.dtype)
                # the upper limit of 64-bit integers is not a float64: stop at the float below it
                top = np.nextafter(float(limits.max) + 1, 0)
                plane = np.clip(np.rint(plane), limits.min, min(limits.max, top))
            target[..., z] = plane
        if keep and self.own:
            same = volume == self.scan.volume(index, planes)
            target[same] = self.scan.stored[:, :, planes, index][same]


def read(path: Path, *, nan_to_zero: bool = False) -> Scan:
    """Open and check the NIfTI, MGH, NRRD or MetaImage file at `path`, or either file of a pair;
    its voxels are read later.

    Raises ScanError if it is missing, empty, none of them, of a datatype without an order (RGB,
    complex), without voxels, with fewer than two axes longer than 1, shorter than its header says,
    or without usable geometry.
    """
    raw, spacing, notes, held = None, (1.0, 1.0, 1.0), (), path
    if MGH.matches(path):
        image, spacing, notes = open_mgh(path)
    elif ITK.matches(path):
        image, spacing, notes = open_itk(path)
    elif is_pair(path):
        image, raw, held = open_pair(path)
    else:
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
    if raw is not None:
        spacing, notes = geometry(path, raw, len(shape))
    if not isinstance(image, ItkImage):
        check_length(held, image, dtype)
    return Scan(path, image, spacing, notes, nan_to_zero=nan_to_zero)


def write(
    path: Path, voxels: Voxels, *, note: str = "", edit: Callable[[Any], None] | None = None
) -> None:
    """Write `voxels` with the header of their scan to `path`, whole or not at all.

    `note` is appended to the header's description where it fits in its 79 bytes; MGH has none.
    `edit` changes a copy of a NIfTI header in place. Raises ValueError where `check_kind` does.
    """
    check_kind(voxels.scan, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = voxels.scan.evened(voxels)
    if ITK.matches(path):
        with replacing(path) as partial:
            stored = voxels.stored.reshape(voxels.shape, order="F")
            save_itk(partial, voxels.scan.image, stored)
        return
    image = _image(path, voxels, note, edit)
    with replacing(path) as partial:
        if isinstance(voxels.stored, np.memmap) and not MGH.matches(path):
            _stream(image, voxels.stored, partial)
        else:
            image.to_filename(partial)


def _stream(image: Any, stored: Array, path: Path) -> None:
    """Write a NIfTI image as nibabel does, a plane at a time: memory does not grow with it."""
    image.update_header()
    header = image.header.copy()
    header.set_data_offset(0)  # the least that its extensions leave
    dtype = header.get_data_dtype()
    with ImageOpener(str(path), "wb") as file:
        header.write_to(file)
        file.write(bytes(header.get_data_offset() - file.tell()))
        for index in range(stored.shape[3]):
            for z in range(stored.shape[2]):
                file.write(stored[:, :, z, index].astype(dtype).tobytes(order="F"))
            scratch.release(stored)


def check_kind(scan: Scan, path: Path) -> None:
    """Raise ValueError where an MGH, NRRD or MetaImage file is to keep the header of a scan that
    was none, and for an image of two files, which are not written.
    """
    if single(path) != path:
        raise ValueError(f"the output {path} would be two files; name {single(path).name}")
    for kind, image_class in ((MGH, MGHImage), (ITK, ItkImage)):
        if kind.matches(path) and not isinstance(scan.image, image_class):
            raise ValueError(f"the output {path} cannot keep its header; name a .nii.gz file")


def _image(path: Path, voxels: Voxels, note: str, edit: Callable[[Any], None] | None) -> Any:
    scan = voxels.scan
    stored = voxels.stored.reshape(voxels.shape, order="F")
    was_mgh = isinstance(scan.image, MGHImage)
    if MGH.matches(path):
        return rewritten(scan.image, stored)
    header: Any = as_nifti(scan.image) if was_mgh else scan.image.header.copy()
    header.set_data_dtype(stored.dtype.newbyteorder(header.endianness))
    header["descrip"] = _description(header["descrip"].item(), note)
    if edit:
        edit(header)
    image = (nib.Nifti1Image if was_mgh else type(scan.image))(stored, None, header)
    # nibabel takes voxels as already scaled where a slope is set, and writes the slope as it is
    image.header.set_slope_inter(*voxels.scaling)
    return image


def _description(old: bytes, note: str) -> bytes:
    text = old.rstrip(b"\0 ")
    joined = b"; ".join(part for part in (text, note.encode()) if part)
    return joined if len(joined) <= 79 else old


def on_grid(path: Path, scan: Scan) -> Scan:
    """The file of one volume that lies where `scan` does."""
    other = read(path)
    if other.grid != scan.grid or other.volumes != 1:
        raise ScanError(
            path, f"has shape {other.shape}, the scan {scan.shape[:3]}", "give one on its grid"
        )
    if not np.allclose(other.image.affine, scan.image.affine, atol=1e-2):
        raise ScanError(
            path, "lies elsewhere than the scan (their affines differ)", "give one on its grid"
        )
    return other
