"""A DICOM series, in a folder or a zip archive, as the scan that the enhancer knows."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan import scratch
from diff_medical.scan.dicom.archive import unpack
from diff_medical.scan.dicom.heights import Heights
from diff_medical.scan.dicom.pixels import quiet
from diff_medical.scan.dicom.series import KINDS, open_folder
from diff_medical.scan.dicom.stack import Stack
from diff_medical.scan.nifti import Scan, Voxels, read

__all__ = ["SeriesScan", "open_scan", "open_series"]


LONGEST = 32_767  # voxels along an axis of NIfTI
_NONE = Stack(
    (), (0, 0, 0), np.dtype(np.uint8), np.zeros((0, 2)), np.eye(4), Heights(np.zeros(0), 1.0)
)


@dataclass(frozen=True)
class SeriesScan(Scan):
    """A scan that was read from DICOM. Its `image` has the header that it gets as NIfTI.

    stack: the images, for writing them again
    """

    stack: Stack = _NONE

    @cached_property
    def stored(self) -> NDArray[Any]:
        """The voxels as stored, (X, Y, Z, volumes); as real values where slopes differ between
        slices. Read once; large ones lie in a temporary file.
        """
        stored = self.stack.stored() if self._is_uniform else self.stack.values()
        return stored.reshape(*self.grid, self.volumes, order="F")

    def evened(self, voxels: Voxels) -> Voxels:
        """Return voxels of this scan for a file of even slices: between those of uneven ones they
        are interpolated linearly, at their real places.
        """
        heights = self.stack.heights
        if heights.is_even:
            return voxels
        slope, inter = voxels.scaling
        count = int((heights.places[-1] - heights.places[0]) / heights.step + 1e-3) + 1
        wanted = heights.places[0] + heights.step * np.arange(count)
        made = Voxels(self, voxels.stored.dtype, (*self.grid[:2], count, *self.shape[3:]))
        for z, place in enumerate(wanted):
            above = int(np.clip(np.searchsorted(heights.places, place), 1, self.grid[2] - 1))
            low, high = heights.places[above - 1], heights.places[above]
            share = float(np.clip((place - low) / (high - low), 0, 1))
            for index in range(self.volumes):
                a, b = (voxels.stored[:, :, n, index] * slope + inter for n in (above - 1, above))
                between = (a * (1 - share) + b * share).astype(np.float32)
                made.put(index, between[..., None], first=z)
        return made

    @property
    def _is_uniform(self) -> bool:
        return bool((self.stack.scaling == self.stack.scaling[0]).all())

    @property
    def dtype(self) -> np.dtype[Any]:
        """The datatype of the stored values."""
        return self.stack.dtype if self._is_uniform else np.dtype(np.float32)

    @property
    def scaling(self) -> tuple[float, float]:
        """The pair (slope, intercept) from `stored` to real values."""
        slope, inter = self.stack.scaling[0] if self._is_uniform else (1.0, 0.0)
        return float(slope), float(inter)


def open_scan(path: Path, *, nan_to_zero: bool = False) -> Scan:
    """Open a file (`diff_medical.scan.nifti.read`), the folder of a DICOM series, or the zip
    archive of one.

    nan_to_zero: read voxels of a file that are NaN or Inf as 0

    Raises ScanError or ValueError for one that cannot be used.
    """
    is_series = path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip")
    return (
        open_series(path, nan_to_zero=nan_to_zero)
        if is_series
        else read(path, nan_to_zero=nan_to_zero)
    )


def open_series(path: Path, *, nan_to_zero: bool = False) -> SeriesScan:
    """The one series in the folder or zip archive `path`; ValueError if it cannot be used."""
    import nibabel as nib

    stack = open_folder(path) if path.is_dir() else _unpacked(path)
    if stack.repeats:
        places = stack.shape[2]
        raise ValueError(
            f"holds {places + stack.repeats} slices at {places} places, so several images (echoes,"
            " times) in one series; put each in a folder of its own"
        )
    if sum(n > 1 for n in stack.shape[:3]) < 2:
        raise ValueError("is not an image; give a slice or a volume")
    if max(stack.shape) > LONGEST:
        raise ValueError(f"has {stack.shape} voxels; expected at most {LONGEST:,} along an axis")
    if not stack.scaling[:, 0].all():
        raise ValueError("has a rescale slope of 0, so its values are lost; export it again")
    spacing = tuple(float(s) for s in np.linalg.norm(stack.affine[:3, :3], axis=0))
    header = nib.Nifti1Header()
    header.set_data_shape(stack.shape)
    header.set_xyzt_units("mm", "sec")
    first = stack.headers[0]
    with quiet():
        described = str(first.get("SeriesDescription") or "")
    if len(stack.shape) > 3:
        header["pixdim"][4] = float(first.get("RepetitionTime") or 0) / 1000
    empty = np.broadcast_to(np.uint8(0), header.get_data_shape())
    image: Any = nib.Nifti1Image(empty, stack.affine, header)
    for put in (image.header.set_qform, image.header.set_sform):
        put(stack.affine, code="scanner")
    image.header["descrip"] = described.encode("ascii", "replace")[:40]
    x, y, z = spacing
    return SeriesScan(
        path, image, (x, y, z), stack.notes, KINDS[str(first.Modality)], nan_to_zero, stack,
    )  # fmt: skip


def _unpacked(path: Path) -> Stack:
    """The series in a zip archive; its files are there as long as the stack."""
    folder = tempfile.TemporaryDirectory(prefix="diff-medical-", dir=scratch.folder())
    unpack(path, Path(folder.name))
    return open_folder(Path(folder.name), keeper=folder)
