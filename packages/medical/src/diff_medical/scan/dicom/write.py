"""An enhanced DICOM series: the files that were read, with new pixels and a new identity.

The patient, the study, the frame of reference and how the scan was made stay as they are, so what
is written is as identifiable as what was read. New are the series and the instances (UIDs), what
says that they are derived and from what, and the pixels. DICOM PS3.3, C.7.6.1 General Image,
C.7.6.16 Multi-frame Functional Groups and C.12.1 SOP Common.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.copies import copied
from diff_medical.scan.dicom.folder import replacing_folder
from diff_medical.scan.dicom.mosaic import join
from diff_medical.scan.dicom.pixels import quiet
from diff_medical.scan.dicom.plane import FRAME_TYPES, Plane, files_of
from diff_medical.scan.dicom.stack import Stack
from diff_medical.scan.kinds import is_dicom
from diff_medical.scan.refusal import foreign
from diff_medical.scan.scratch import release

__all__ = ["check_target", "coded", "write_series"]

SERIES_OFFSET = 1000  # added to the series number: after the scanner's own
SOURCE = ("121322", "Source image for image processing operation")
SMOOTHING = ("113087", "Smoothing")  # of context group 7203, Image Derivation, the nearest
MODIFIER = ("109103", "Modifying Equipment")


def check_target(folder: Path) -> None:
    """Raise ValueError unless `folder` is free, or holds nothing but DICOM files."""
    if folder.is_file():
        raise ValueError(f"the output {folder} is a file; name a folder, or a .nii.gz file")
    if folder.is_dir() and not all(p.is_file() and is_dicom(p) for p in folder.iterdir()):
        raise ValueError(f"the output {folder} holds other things than DICOM; name a new folder")


def write_series(
    folder: Path,
    stack: Stack,
    values: NDArray[np.float32],
    *,
    label: str,
    version: str,
    overwrite: bool = True,
) -> None:
    """Write `values` of the shape and in the units of a stack as a series of their own, file for
    file: single slices, frames or mosaics, as they were read.

    Each image keeps its datatype, rescale slope and intercept; values are rounded to nearest and
    kept in range. The folder is there whole or not at all; one that holds an older series is
    replaced.

    label:     goes into the series description and says what was done, as in "enhanced"
    version:   of the software, as in "diff-medical 0.1.0"
    overwrite: else FileExistsError for a folder that has come to be there meanwhile
    """
    from pydicom.uid import generate_uid

    check_target(folder)
    series, now = generate_uid(), datetime.now()
    flat = values.reshape(*values.shape[:2], -1, order="F")
    numbers = {id(one): number for number, one in enumerate(stack.planes)}
    with replacing_folder(folder, overwrite=overwrite) as partial:
        for number, planes in enumerate(files_of(stack.planes)):
            own = [flat[..., numbers[id(one)]] for one in planes]
            with foreign(_unwritable), quiet():
                made = _derived(planes[0].header, series, number + 1, now, label, version)
                _put_pixels(made, planes, own)
                made.save_as(partial / f"{number + 1:05d}.dcm", enforce_file_format=True)
            release(values)


def _unwritable(why: str) -> ValueError:
    return ValueError(
        f"its header cannot be written again as DICOM ({why}); name a .nii.gz file as output"
    )


def _derived(
    source: Any, series: str, number: int, now: datetime, label: str, version: str
) -> Any:
    """The dataset of a new file, but for its pixels."""
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    made = copied(source)
    instance = generate_uid()
    made.file_meta.MediaStorageSOPClassUID = source.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = instance
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SeriesInstanceUID = series
    made.SeriesNumber = int(source.get("SeriesNumber") or 0) + SERIES_OFFSET
    made.SeriesDescription = _joined(source.get("SeriesDescription"), label, 64)
    made.InstanceNumber = number
    what = f"{label} by {version}: noise removed by a neural network; not for diagnosis"
    made.DerivationDescription = _joined(source.get("DerivationDescription"), what, 1024)
    made.DerivationCodeSequence = [
        *(source.get("DerivationCodeSequence") or []),
        coded(*SMOOTHING),
    ]
    made.ContributingEquipmentSequence = [
        *(source.get("ContributingEquipmentSequence") or []),
        _equipment(version, now),
    ]
    made.InstanceCreationDate, made.InstanceCreationTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    kind = list(source.get("ImageType") or ["ORIGINAL", "PRIMARY"])
    if frames := made.get("PerFrameFunctionalGroupsSequence"):
        _derive_frames(made, source, frames, what)
    else:
        made.ImageType = ["DERIVED", "SECONDARY", *kind[2:]]
        made.SourceImageSequence = [_reference(source)]
    return made


def _derive_frames(made: Any, source: Any, frames: Any, what: str) -> None:
    """The same of the frames of an enhanced object, whose second value stays PRIMARY."""
    from pydicom.dataset import Dataset

    kind = list(source.get("ImageType") or ["ORIGINAL", "PRIMARY"])
    made.ImageType = ["DERIVED", *kind[1:]]
    shared = made.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for groups in (shared[0], *frames):
        for types in (groups.get(name) for name in FRAME_TYPES):
            if types and types[0].get("FrameType"):
                types[0].FrameType = ["DERIVED", *list(types[0].FrameType)[1:]]
    # a functional group belongs to all frames or to each of them, and nothing of one goes
    own = [groups for groups in frames if groups.get("DerivationImageSequence")]
    for number, groups in enumerate(frames if own else shared[:1], 1):
        step: Any = Dataset()
        step.DerivationDescription = what
        step.DerivationCodeSequence = [coded(*SMOOTHING)]
        step.SourceImageSequence = [_reference(source, number if own else None)]
        before = list(groups.get("DerivationImageSequence") or [])
        groups.DerivationImageSequence = [*before, step]
    made.SharedFunctionalGroupsSequence = shared
    made.SourceImageEvidenceSequence = [
        *(source.get("SourceImageEvidenceSequence") or []),
        _evidence(source),
    ]


def _put_pixels(made: Any, planes: list[Plane], values: list[NDArray[np.float32]]) -> None:
    """(X, Y) values of the images of a file into it, as whole numbers in the bits that it has."""
    header = planes[0].header
    bits, signed = int(header.BitsStored), int(header.PixelRepresentation) == 1
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    dtype = np.dtype(f"<{'i' if signed else 'u'}{int(header.BitsAllocated) // 8}")
    columns, rows = planes[0].size
    filled = np.zeros((max(one.index for one in planes) + 1, rows, columns), dtype)
    for one, plane in zip(planes, values, strict=True):
        slope, inter = one.scaling
        stored = np.rint((plane.T.astype(np.float64) - inter) / slope)
        filled[one.index] = np.clip(stored, low, high)
    pixels = (join(filled) if planes[0].held == "tile" else filled).tobytes()
    made["PixelData"] = _element(pixels + b"\0" * (len(pixels) % 2), dtype.itemsize)


def _element(pixels: bytes, size: int) -> Any:
    from pydicom.dataelem import DataElement

    return DataElement(0x7FE00010, "OB" if size == 1 else "OW", pixels)


def _reference(source: Any, frame: int | None = None) -> Any:
    from pydicom.dataset import Dataset

    one = Dataset()
    one.ReferencedSOPClassUID = source.SOPClassUID
    one.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if frame is not None:
        one.ReferencedFrameNumber = frame
    one.PurposeOfReferenceCodeSequence = [coded(*SOURCE)]
    return one


def _evidence(source: Any) -> Any:
    """The place of a file among studies and series."""
    from pydicom.dataset import Dataset

    series: Any = Dataset()
    series.SeriesInstanceUID = source.SeriesInstanceUID
    instance: Any = Dataset()
    instance.ReferencedSOPClassUID = source.SOPClassUID
    instance.ReferencedSOPInstanceUID = source.SOPInstanceUID
    series.ReferencedSOPSequence = [instance]
    one: Any = Dataset()
    one.StudyInstanceUID = source.get("StudyInstanceUID")
    one.ReferencedSeriesSequence = [series]
    return one


def _equipment(version: str, now: datetime) -> Any:
    from pydicom.dataset import Dataset

    one = Dataset()
    one.PurposeOfReferenceCodeSequence = [coded(*MODIFIER)]
    one.Manufacturer = "diff-medical"
    one.SoftwareVersions = version
    one.ContributionDateTime = f"{now:%Y%m%d%H%M%S}"
    return one


def coded(value: str, meaning: str) -> Any:
    """An item of a sequence of codes of DICOM's own."""
    from pydicom.dataset import Dataset

    one = Dataset()
    one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning = value, "DCM", meaning
    return one


def _joined(old: Any, new: str, length: int) -> str:
    """`old`, cut where it must be, and `new` behind it."""
    text = str(old or "").strip()
    return f"{text[: length - len(new) - 2]}, {new}" if text else new[:length]
