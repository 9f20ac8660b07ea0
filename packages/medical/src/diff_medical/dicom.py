"""DICOM series as volumes, by pydicom (extra `diff-medical[dicom]`).

Slices are put in order by where they lie, not by their names or numbers. What does not make one
volume is refused with what is wrong: slices missing or of different sizes, two series in one
folder, a tilted gantry, pixels that no installed decoder reads.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intensity import Modality

__all__ = ["Series", "Stack", "find_series", "is_dicom", "open_folder", "read_series"]

UNEVEN = 0.01  # share of the slice distance by which distances may differ
TILT = 0.02  # mm of sideways shift for each mm between slices above which the gantry was tilted
HEADER = ("SeriesInstanceUID", "Modality", "PatientID", "SeriesDescription", "Rows")


@dataclass(frozen=True)
class Stack:
    """The slices of one series, in the order of their places.

    slices:  pydicom datasets, one a place, with their pixels
    affine:  (4, 4), voxel (x, y, z) to RAS mm
    repeats: how many further slices lie at places that are already taken
    """

    slices: tuple[Any, ...]
    affine: NDArray[np.float64]
    repeats: int = 0

    def stored(self) -> NDArray[Any]:
        """(X, Y, Z) values as stored, before slope and intercept; ValueError if not decodable."""
        return np.stack([_decoded(one).T for one in self.slices], axis=-1)

    def scaling(self) -> NDArray[np.float64]:
        """(Z, 2): rescale slope and intercept of each slice."""
        return np.array([_scaling(one) for one in self.slices])

    def values(self) -> NDArray[np.float32]:
        """(X, Y, Z) values with slope and intercept applied: HU for CT."""
        slope, inter = self.scaling().T
        return (self.stored() * slope + inter).astype(np.float32)


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
    dcmread = _reader()
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


def read_series(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    """The series of the file `path`: values (X, Y, Z) float32, affine (4, 4) to RAS mm, notes.

    The series are the files of its folder with its SeriesInstanceUID. Values have the rescale
    slope and intercept applied: HU for CT. Raises ValueError if they do not make one volume.
    """
    dcmread = _reader()
    try:
        wanted = _uid(dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER)))
    except Exception as error:  # pydicom raises many kinds for a damaged file
        raise ValueError(f"cannot be read as DICOM ({error})") from error
    files = [p for p in sorted(path.parent.iterdir()) if p.is_file() and is_dicom(p)]
    slices = [
        dcmread(file)
        for file in files
        if _uid(dcmread(file, stop_before_pixels=True, specific_tags=list(HEADER))) == wanted
    ]
    stack = _stack(slices)
    places = len(stack.slices)
    notes = (f"{places + stack.repeats} slices at {places} places: the first at each is used",)
    return stack.values(), stack.affine, notes if stack.repeats else ()


def open_folder(folder: Path) -> Stack:
    """The one MR or CT series that lies in `folder`, or below it.

    Other DICOM objects (directories, reports, screenshots) are left alone. Raises ValueError if
    there is no series or more than one, or if its slices do not make one volume.
    """
    series, left_out = find_series(folder)
    if not series:
        why = f" ({left_out[0][0].name} {left_out[0][1]})" if left_out else ""
        raise ValueError(f"holds no MR or CT series{why}; give the folder of one")
    dcmread = _reader()
    uids = [_uid(dcmread(s.path, stop_before_pixels=True, specific_tags=list(HEADER)))
            for s in series]  # fmt: skip
    if len(set(uids)) > 1:
        names = ", ".join(s.description or s.path.name for s in series[:4])
        more = ", ..." if len(series) > 4 else ""
        raise ValueError(
            f"holds {len(set(uids))} series mixed ({names}{more}); put each in a folder of its own"
        )
    slices: list[Any] = []
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and is_dicom(p)):
        try:
            one = dcmread(file)
        except Exception as error:  # pydicom raises many kinds for a damaged file
            raise ValueError(
                f"its file {file.name} cannot be read as DICOM ({error}); copy it again"
            ) from error
        if _uid(one) == uids[0] and "Rows" in one:
            slices.append(one)
    return _stack(slices)


def _reader() -> Any:
    """pydicom's dcmread, without its remarks on other makers' habits."""
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("DICOM needs pydicom; pip install 'diff-medical[dicom]'") from error

    def read(*arguments: Any, **options: Any) -> Any:
        with _quiet():
            return pydicom.dcmread(*arguments, **options)

    return read


@contextmanager
def _quiet() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _uid(header: Any) -> str:
    return str(header.get("SeriesInstanceUID", ""))


def _stack(slices: Sequence[Any]) -> Stack:
    """Slices of one series, in any order, as a stack; ValueError if they are none."""
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
            raise ValueError("holds colour images, not grey values; give a series of grey values")
    sizes = {(int(s.Rows), int(s.Columns), *map(float, s.PixelSpacing)) for s in slices}
    turns = np.array([[float(v) for v in s.ImageOrientationPatient] for s in slices])
    if len(sizes) > 1 or np.abs(turns - turns[0]).max() > 1e-3:
        raise ValueError(
            "its slices differ in size, spacing or direction; put those of one scan in a folder"
        )
    along_row, along_column = turns[0, :3], turns[0, 3:]
    normal = np.cross(along_row, along_column)
    places = np.array([[float(v) for v in s.ImagePositionPatient] for s in slices])
    heights = places @ normal
    order = sorted(range(len(slices)), key=lambda i: (round(heights[i], 3), _number(slices[i])))
    kept: list[int] = []
    for i in order:
        if not kept or heights[i] - heights[kept[-1]] > 1e-3:
            kept.append(i)
    step = _step(heights[kept], slices[kept[0]])
    _refuse_tilt(places[kept], normal)
    rows_apart, columns_apart = map(float, slices[kept[0]].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = along_row * columns_apart
    affine[:3, 1] = along_column * rows_apart
    affine[:3, 2] = normal * step
    affine[:3, 3] = places[kept[0]]
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM counts to the left and to the back
    return Stack(tuple(slices[i] for i in kept), to_ras @ affine, len(order) - len(kept))


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
            f"its slices are {steps.min():.2f} to {steps.max():.2f} mm apart: some are missing; "
            "export the series again"
        )
    return step


def _refuse_tilt(places: NDArray[np.float64], normal: NDArray[np.float64]) -> None:
    """ValueError where slices are shifted against each other, as under a tilted gantry."""
    if len(places) < 2:
        return
    path = places[-1] - places[0]
    height = float(path @ normal)
    shift = float(np.linalg.norm(path - height * normal))
    if shift > TILT * height:
        angle = np.degrees(np.arctan2(shift, height))
        raise ValueError(
            f"its gantry was tilted by {angle:.1f} degrees, so its slices are no straight stack; "
            "resample it first, as dcm2niix does"
        )


def _scaling(one: Any) -> tuple[float, float]:
    return float(one.get("RescaleSlope", 1)), float(one.get("RescaleIntercept", 0))


def _decoded(one: Any) -> NDArray[Any]:
    """(rows, columns) as stored."""
    from pydicom.pixels import pixel_array  # type: ignore[reportPrivateImportUsage]

    try:
        with _quiet():
            return pixel_array(one)  # unlike one.pixel_array it keeps no copy
    except Exception as error:  # a missing decoder, or cut-off data
        syntax = one.file_meta.get("TransferSyntaxUID")
        if syntax is not None and syntax.is_compressed and not _decodes(syntax):
            raise ValueError(
                f"its pixels are compressed ({syntax.name}) and no decoder is installed; "
                "pip install 'pylibjpeg[all]', or decompress it with dcmdjpeg or gdcmconv"
            ) from error
        told = " ".join(str(error).split())
        raise ValueError(f"its pixels cannot be decoded ({told}); export it again") from error


def _decodes(syntax: Any) -> bool:
    from pydicom.pixels import get_decoder  # type: ignore[reportPrivateImportUsage]

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
