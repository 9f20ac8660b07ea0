"""Label maps and scans in files, with the affines of their voxels in RAS order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.brain.grid import Grid
from diff_medical.brain.model import check_labels
from diff_medical.data.reading import Reading, load_scan
from diff_medical.marks.mark import Mark
from diff_medical.marks.nifti import sign

__all__ = ["read_labels", "read_upright", "write_labels", "write_scan"]

SIZES = (0.7, 1.4)  # of heads, in units of the mean one
_SCANNER = 1  # the form code for coordinates of a scanner
UNEVEN = 0.05  # voxels may be so far from cubes


def read_labels(path: Path, grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a label map (X, Y, Z) in RAS order and its affine (4, 4).

    Raises ValueError, one line, for a file that cannot be read, another grid (the number of
    voxels, cubes of a size that heads have) and other values than 0 to 5.
    """
    values, affine = read_upright(path)
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = (grid.voxel * size for size in SIZES)
    cubes = sides.max() <= (1 + UNEVEN) * sides.min() and low <= sides.mean() <= high
    if values.shape != grid.shape or not cubes:
        raise ValueError(
            f"labels has {_said(values.shape, sides)}; expected "
            f"{' x '.join(map(str, grid.shape))} voxels, cubes of {low:.3g} to {high:.3g} mm"
        )
    check_labels(values, grid)
    return values.astype(np.uint8), affine


def read_upright(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the first volume of a scan (X, Y, Z) in RAS order, and its affine (4, 4).

    Raises ValueError for a file that cannot be read, holds NaN, or does not say how it lies.
    """
    loaded = load_scan(path, 0, Reading("refuse", "RAS"))
    assert loaded.affine is not None  # or it could not have been turned
    return loaded.values, _upright(loaded.affine, loaded.values.shape)


def write_labels(
    path: Path, labels: NDArray[np.uint8], affine: NDArray[np.float64], mark: Mark | None
) -> None:
    """Write a label map, uint8, to `path`, .nii or .nii.gz; not atomically.

    mark: of a synthetic scan; None for the labels of a real one
    """
    image = _image(labels, affine)
    image.header.set_intent("label")
    if mark is not None:
        sign(image.header, mark)
    image.to_filename(path)


def write_scan(path: Path, values: NDArray[np.float32], affine: NDArray[np.float64]) -> None:
    """Write a scan, float32, to `path`, .nii or .nii.gz; not atomically."""
    _image(values, affine).to_filename(path)


def _image(values: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    from nibabel.nifti1 import Nifti1Image

    image: Any = Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, _SCANNER)
    image.set_qform(affine, _SCANNER)
    return image


def _upright(affine: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The affine of a volume that was turned to RAS, of that of the file.

    shape: after the turn
    """
    from nibabel.orientations import inv_ornt_aff, io_orientation

    turn = io_orientation(affine)
    stored = tuple(shape[int(axis)] for axis in turn[:, 0])
    return affine @ inv_ornt_aff(turn, stored)


def _said(shape: tuple[int, ...], sides: NDArray[Any]) -> str:
    sizes = " x ".join(f"{side:.3g}" for side in sides)
    return f"{' x '.join(map(str, shape))} voxels of {sizes} mm"
