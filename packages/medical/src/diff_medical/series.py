"""A DICOM series, in a folder or a zip archive, as the scan that the enhancer knows."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import unpack
from .dicom import Stack, open_folder
from .nifti import Scan, read

__all__ = ["SeriesScan", "open_scan", "open_series"]


@dataclass(frozen=True)
class SeriesScan(Scan):
    """A scan that was read from DICOM. Its `image` has the header that it gets as NIfTI.

    stack: the slices, for writing them again
    """

    stack: Stack = Stack((), np.eye(4))

    @cached_property
    def stored(self) -> NDArray[Any]:
        """As stored, (X, Y, Z, 1); as real values where slopes differ between slices."""
        stored = self.stack.stored() if self._is_uniform else self.stack.values()
        return stored[..., None]

    @property
    def _is_uniform(self) -> bool:
        scaling = self.stack.scaling()
        return bool((scaling == scaling[0]).all())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Datatype of the stored values."""
        return self.stored.dtype

    @property
    def scaling(self) -> tuple[float, float]:
        """(slope, intercept) from `stored` to real values."""
        slope, inter = self.stack.scaling()[0] if self._is_uniform else (1.0, 0.0)
        return float(slope), float(inter)


def open_scan(path: Path) -> Scan:
    """The NIfTI file, the folder of a DICOM series, or the zip archive of one, at `path`.

    Raises ScanError or ValueError for one that cannot be used.
    """
    is_series = path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip")
    return open_series(path) if is_series else read(path)


def open_series(path: Path) -> SeriesScan:
    """The one series in the folder or zip archive `path`; ValueError if it cannot be used."""
    import nibabel as nib

    if path.is_dir():
        stack = open_folder(path)
    else:
        with tempfile.TemporaryDirectory(prefix="diff-medical-") as folder:
            unpack(path, Path(folder))
            stack = open_folder(Path(folder))
    if stack.repeats:
        places = len(stack.slices)
        raise ValueError(
            f"holds {places + stack.repeats} slices at {places} places, so several images (echoes,"
            " times) in one series; put each in a folder of its own"
        )
    first = stack.slices[0]
    if sum(n > 1 for n in (int(first.Columns), int(first.Rows), len(stack.slices))) < 2:
        raise ValueError("is not an image; give a slice or a volume")
    if not stack.scaling()[:, 0].all():
        raise ValueError("has a rescale slope of 0, so its values are lost; export it again")
    spacing = tuple(float(s) for s in np.linalg.norm(stack.affine[:3, :3], axis=0))
    header = nib.Nifti1Header()
    header.set_data_shape((int(first.Columns), int(first.Rows), len(stack.slices)))
    header.set_xyzt_units("mm")
    empty = np.broadcast_to(np.uint8(0), header.get_data_shape())
    image: Any = nib.Nifti1Image(empty, stack.affine, header)
    for put in (image.header.set_qform, image.header.set_sform):
        put(stack.affine, code="scanner")
    image.header["descrip"] = _latin(first.get("SeriesDescription"))
    modality = "ct" if str(first.Modality) == "CT" else "mr"
    return SeriesScan(path, image, spacing, (), modality, stack)  # type: ignore[arg-type]


def _latin(text: object) -> bytes:
    return str(text or "").encode("ascii", "replace")[:40]
