"""Label maps in files: read for the generator, and written with the mark of a synthetic scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.brain.grid import Grid
from diff_medical.brain.model import check_labels
from diff_medical.data.reading import Reading, load_scan

__all__ = ["read_labels", "write_labels"]

SIZES = (0.7, 1.4)  # of heads, in units of the mean one
UNEVEN = 0.05  # voxels may be so far from cubes


def read_labels(path: Path, grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a label map (X, Y, Z) in RAS order and its affine (4, 4).

    Raises ValueError, one line, for a file that cannot be read, another grid (the number of
    voxels, cubes of a size that heads have) and other values than 0 to 5.
    """
    loaded = load_scan(path, 0, Reading("refuse", "RAS"))
    sides = np.array(loaded.spacing)
    low, high = (grid.voxel * size for size in SIZES)
    cubes = sides.max() <= (1 + UNEVEN) * sides.min() and low <= sides.mean() <= high
    if loaded.values.shape != grid.shape or not cubes:
        raise ValueError(
            f"labels has {_said(loaded.values.shape, sides)}; expected "
            f"{' x '.join(map(str, grid.shape))} voxels, cubes of {low:.3g} to {high:.3g} mm"
        )
    check_labels(loaded.values, grid)
    assert loaded.affine is not None  # or it could not have been turned
    return loaded.values.astype(np.uint8), _upright(loaded.affine, loaded.values.shape)


def write_labels(
    path: Path, labels: NDArray[np.uint8], affine: NDArray[np.float64], mark: Any
) -> None:
    """Write a label map, uint8, to `path`, .nii or .nii.gz; not atomically.

    mark: `diff_medical.marks.mark.Mark`; None for labels of a real scan
    """
    from nibabel.nifti1 import Nifti1Image

    from diff_medical.marks.nifti import sign

    image: Any = Nifti1Image(labels, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_intent("label")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if mark is not None:
        sign(image.header, mark)
    image.to_filename(path)


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
