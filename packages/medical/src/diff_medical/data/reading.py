"""Scans as arrays for training: one volume, its spacing and orientation, and what is odd."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.intensity import LARGEST
from diff_medical.scan.kinds import SCANS
from diff_medical.scan.sections import upright
from diff_medical.scan.spacing import Spacing

__all__ = ["Loaded", "Reading", "load_scan", "read_scan", "resampled", "voxels"]

UNEVEN = 2.0  # times: scans whose voxels differ by more are told of

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """The way from a scan to an array.

    missing:     what is done about NaN and infinity: "refuse" the scan, or set them to "zero"
    orientation: "stored" keeps the axes of the file; "RAS" turns them to right, front, head
    spacing:     mm to which every axis is resampled; None keeps the voxels of the file, and with
                 them the noise as the scanner made it
    """

    missing: Literal["refuse", "zero"] = "refuse"
    orientation: Literal["stored", "RAS"] = "stored"
    spacing: float | None = None

    def __post_init__(self) -> None:
        if self.missing not in ("refuse", "zero"):
            raise ValueError(f"missing must be 'refuse' or 'zero', got {self.missing!r}")
        if self.orientation not in ("stored", "RAS"):
            raise ValueError(f"orientation must be 'stored' or 'RAS', got {self.orientation!r}")
        if self.spacing is not None and not 0.01 <= self.spacing <= 100:
            raise ValueError(f"spacing is {self.spacing}; expected 0.01 to 100 mm, or none")


@dataclass(frozen=True)
class Loaded:
    """A volume as it was read.

    values:      (X, Y, Z) float32, in scan units
    spacing:     mm
    orientation: where each axis goes, such as "RAS"; "???" where the header does not say
    volumes:     how many the file has
    affine:      (4, 4), voxels of the file, as it is stored, to RAS mm; None where the header does
                 not say
    notes:       what a user should know
    """

    values: Array
    spacing: Spacing
    orientation: str
    volumes: int
    affine: NDArray[np.floating] | None
    notes: tuple[str, ...]


def read_scan(path: Path) -> tuple[Array, Spacing]:
    """The first volume of a scan as (X, Y, Z) float32 in scan units, and its spacing in mm.

    Raises ValueError if the file cannot be read or holds no finite volume.
    """
    loaded = load_scan(path)
    return loaded.values, loaded.spacing


def load_scan(path: Path, volume: int = 0, reading: Reading = Reading()) -> Loaded:  # noqa: B008
    """Return one volume of a NIfTI file, or the DICOM series of a file.

    Raises ValueError if it cannot be read, has no such volume, holds colours or complex numbers,
    has no usable geometry, holds values beyond `LARGEST`, or NaN or infinity where `reading`
    refuses them.
    """
    if not path.is_file():
        raise ValueError("no such file")
    values, affine, spacing, volumes, notes = (
        _nifti(path, volume) if SCANS.matches(path) else _dicom(path, volume)
    )
    if not 0 <= volume < volumes:
        raise ValueError(f"has {volumes} volumes, but volume {volume} is asked for")
    if volumes > 1:
        notes = (*notes, f"is a series of {volumes} volumes, of which number {volume} is used")
    wrong = int(values.size - np.isfinite(values).sum())
    if wrong and reading.missing == "refuse":
        raise ValueError(f"holds NaN or infinity in {wrong} of {values.size} voxels")
    if wrong:
        values = np.where(np.isfinite(values), values, np.float32(0))
        notes = (*notes, f"{wrong} of {values.size} voxels were NaN or infinity, and are now 0")
    if (largest := float(np.abs(values).max(initial=0.0))) > LARGEST:
        raise ValueError(
            f"holds values up to {largest:.3g}, beyond {LARGEST:.0e}; divide it by a constant"
        )
    orientation = "???" if affine is None else _codes(affine)
    if reading.orientation == "RAS":
        if affine is None:
            raise ValueError("has no orientation (neither qform nor sform is set)")
        values, spacing = upright(values, spacing, affine)
        values = np.ascontiguousarray(values)
        orientation = "RAS"
    if reading.spacing is not None:
        values, spacing, said = resampled(values, spacing, reading.spacing)
        notes = (*notes, *said)
    return Loaded(values, spacing, orientation, volumes, affine, notes)


def _nifti(path: Path, volume: int) -> Any:
    from diff_medical.scan.nifti import read

    try:
        scan = read(path)
        values = scan.volume(volume) if 0 <= volume < scan.volumes else np.zeros(0, np.float32)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"{path}: ")) from error
    affine = scan.image.affine if scan.is_oriented else None
    return values, affine, scan.spacing, scan.volumes, scan.notes


def _dicom(path: Path, volume: int) -> Any:
    from diff_medical.scan.dicom.series import read_series

    values, affine, notes = read_series(path)
    spacing = tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    volumes = values.shape[3] if values.ndim > 3 else 1
    if values.ndim > 3:
        values = values[..., volume] if 0 <= volume < volumes else np.zeros(0, np.float32)
    return values, affine, spacing, volumes, notes


def _codes(affine: NDArray[np.floating]) -> str:
    from nibabel.orientations import aff2axcodes

    return "".join(code or "?" for code in aff2axcodes(affine))


def resampled(
    values: Array, spacing: Spacing, to: float
) -> tuple[Array, Spacing, tuple[str, ...]]:
    """A volume with voxels of `to` mm, its new spacing, and what is to be said of it.

    Linear between voxels; finer ones are blurred first by the Gaussian of `skimage.resize`, so
    that they do not alias. Axes keep their extent: the spacing is `to` up to half a voxel in all.
    Either way noise is lessened and no longer independent from voxel to voxel.
    """
    from skimage.transform import resize

    shape = tuple(max(1, round(n * mm / to)) for n, mm in zip(values.shape, spacing, strict=True))
    if shape == values.shape:
        return values, spacing, ()
    made = resize(values, shape, order=1, mode="edge", anti_aliasing=True, preserve_range=True)
    x, y, z = (n * mm / m for n, mm, m in zip(values.shape, spacing, shape, strict=True))
    was = " x ".join(f"{mm:.3g}" for mm in spacing)
    note = f"was resampled from {was} to {to:g} mm: its noise is no longer the scanner's"
    return np.ascontiguousarray(made, np.float32), (x, y, z), (note,)


def voxels(spacings: Collection[Spacing]) -> tuple[str, str]:
    """Return the voxel sizes of several scans in words, and a warning, "" where they are much
    alike.

    spacings: mm, at least one
    """
    finest = [min(spacing) for spacing in spacings]
    low, high = min(finest), max(finest)
    of = f"{low:.3g}" if high < 1.005 * low else f"{low:.3g} to {high:.3g}"
    most = max(map(max, spacings))
    said = f"voxels of {of} mm along the finest axis, at most {most:.3g} mm along another"
    if high <= UNEVEN * low:
        return said, ""
    return said, f"voxels differ {high / low:.2g}-fold in size ({of} mm along the finest axis)"
