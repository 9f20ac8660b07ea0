"""DICOM series as volumes, by pydicom (extra `diff-medical[dicom]`).

Slices are put in order by where they lie, not by their names or numbers; a series with slices
missing, or of different sizes, is refused with what is wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intensity import Modality

__all__ = ["Series", "find_series", "is_dicom", "read_series"]

UNEVEN = 0.01  # share of the slice distance by which distances may differ
HEADER = ("SeriesInstanceUID", "Modality", "PatientID", "SeriesDescription", "Rows")


@dataclass(frozen=True)
class Series:
    """path: its first file. subject: a hash of the patient's number, which is not kept."""

    path: Path
    modality: Modality
    subject: str
    description: str


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def find_series(folder: Path) -> tuple[list[Series], tuple[tuple[Path, str], ...]]:
    """The MR and CT series below a folder, and (file, why) of what else there is of DICOM."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and is_dicom(p)]
    if not files:
        return [], ()
    dcmread = _pydicom().dcmread
    found: dict[tuple[Path, str], Series] = {}
    left_out: list[tuple[Path, str]] = []
    for path in files:
        try:
            header: Any = dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER))
        except Exception as error:  # pydicom raises many kinds for a damaged file
            left_out.append((path, f"cannot be read as DICOM ({error})"))
            continue
        kind = {"MR": "mr", "CT": "ct"}.get(str(header.get("Modality", "")))
        if kind is None or "Rows" not in header:
            left_out.append((path, f"is not an MR or CT image ({header.get('Modality', '?')})"))
            continue
        key = (path.parent, str(header.get("SeriesInstanceUID", "")))
        patient = str(header.get("PatientID", "") or key)
        subject = hashlib.sha256(patient.encode()).hexdigest()[:8]
        description = str(header.get("SeriesDescription", ""))
        found.setdefault(key, Series(path, kind, f"patient-{subject}", description))  # type: ignore[arg-type]
    return list(found.values()), tuple(left_out)


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("DICOM needs pydicom: pip install 'diff-medical[dicom]'") from error
    return pydicom


def read_series(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    """The series of the file `path`: values (X, Y, Z) float32, affine (4, 4) to RAS mm, notes.

    The series are the files of its folder with its SeriesInstanceUID. Values have the rescale
    slope and intercept applied: HU for CT. Raises ValueError if they do not make one volume.
    """
    dcmread = _pydicom().dcmread
    slices: list[Any] = []
    wanted = _series_of(path, dcmread)
    for file in sorted(path.parent.iterdir()):
        if file.is_file() and is_dicom(file):
            header = dcmread(file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
            if str(header.get("SeriesInstanceUID", "")) == wanted:
                slices.append(dcmread(file))
    notes: list[str] = []
    for one in slices:
        missing = [
            tag
            for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
            if tag not in one
        ]
        if missing or int(one.get("NumberOfFrames", 1)) > 1:
            what = f"lacks {missing[0]}" if missing else "holds several frames in one file"
            raise ValueError(f"a slice of the series {what}; convert it to NIfTI with dcm2niix")
        if int(one.get("SamplesPerPixel", 1)) != 1:
            raise ValueError("holds colour images, not grey values")
    sizes = {(int(s.Rows), int(s.Columns), *map(float, s.PixelSpacing)) for s in slices}
    turns = np.array([[float(v) for v in s.ImageOrientationPatient] for s in slices])
    if len(sizes) > 1 or np.abs(turns - turns[0]).max() > 1e-3:
        raise ValueError("its slices differ in size, spacing or direction")
    along_row, along_column = turns[0, :3], turns[0, 3:]
    normal = np.cross(along_row, along_column)
    places = np.array([[float(v) for v in s.ImagePositionPatient] for s in slices])
    heights = places @ normal
    order = sorted(range(len(slices)), key=lambda i: (round(heights[i], 3), _number(slices[i])))
    kept: list[int] = []
    for i in order:
        if not kept or heights[i] - heights[kept[-1]] > 1e-3:
            kept.append(i)
    if len(kept) < len(order):
        notes.append(f"{len(order)} slices at {len(kept)} places: the first at each is used")
    step = _step(heights[kept], slices[kept[0]])
    values = np.stack([_pixels(slices[i]) for i in kept], axis=-1)
    rows_apart, columns_apart = map(float, slices[kept[0]].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = along_row * columns_apart
    affine[:3, 1] = along_column * rows_apart
    affine[:3, 2] = normal * step
    affine[:3, 3] = places[kept[0]]
    return values, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, tuple(notes)  # LPS to RAS


def _series_of(path: Path, dcmread: Any) -> str:
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except Exception as error:  # pydicom raises many kinds for a damaged file
        raise ValueError(f"cannot be read as DICOM ({error})") from error
    return str(header.get("SeriesInstanceUID", ""))


def _number(one: Any) -> int:
    return int(one.get("InstanceNumber", 0) or 0)


def _step(heights: NDArray[np.float64], first: Any) -> float:
    """mm between slices."""
    if len(heights) == 1:
        return float(first.get("SpacingBetweenSlices", 0) or first.get("SliceThickness", 0) or 1)
    steps = np.diff(heights)
    step = float(np.median(steps))
    if np.abs(steps - step).max() > UNEVEN * step + 0.01:
        raise ValueError(
            f"its slices are {steps.min():.2f} to {steps.max():.2f} mm apart: some are missing"
        )
    return step


def _pixels(one: Any) -> NDArray[np.float32]:
    """(X, Y) values of a slice."""
    try:
        stored = one.pixel_array
    except Exception as error:  # a missing decoder, or cut-off data
        raise ValueError(
            f"its pixels cannot be decoded ({error}); pydicom needs pylibjpeg for compressed files"
        ) from error
    slope, inter = float(one.get("RescaleSlope", 1)), float(one.get("RescaleIntercept", 0))
    return (stored.T * slope + inter).astype(np.float32)
