"""An enhanced DICOM series: the slices that were read, with new pixels and a new identity.

The patient, the study, the frame of reference and how the scan was made stay as they are, so what
is written is as identifiable as what was read. New are the series and the instances (UIDs), what
says that they are derived and from what, and the pixels. Left out are private tags (nobody knows
what they say of the new pixels), thumbnails of the old pixels, and digital signatures, which no
longer hold. DICOM PS3.3, C.7.6.1 General Image and C.12.1 SOP Common.
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.stack import Stack, quiet, scaling_of
from diff_medical.scan.kinds import is_dicom
from diff_medical.scan.refusal import foreign
from diff_medical.scan.scratch import release

__all__ = ["check_target", "coded", "replacing_folder", "write_series"]

STALE = (
    "IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence",
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries", "PixelDataProviderURL", "ReferencedImageEvidenceSequence",
)  # fmt: skip
SERIES_OFFSET = 1000  # added to the series number: after the scanner's own
SOURCE = ("121322", "Source image for image processing operation")
SMOOTHING = ("113087", "Smoothing")  # of context group 7203, Image Derivation, the nearest
MODIFIER = ("109103", "Modifying Equipment")


def check_target(folder: Path) -> None:
    """ValueError unless `folder` is free, or holds nothing but DICOM files."""
    if folder.is_file():
        raise ValueError(f"the output {folder} is a file; name a folder, or a .nii.gz file")
    if folder.is_dir() and not all(p.is_file() and is_dicom(p) for p in folder.iterdir()):
        raise ValueError(f"the output {folder} holds other things than DICOM; name a new folder")


def write_series(
    folder: Path, stack: Stack, values: NDArray[np.float32], *, label: str, version: str
) -> None:
    """Writes `values` (X, Y, Z), in the units of the series, as a series of their own.

    Each slice keeps its datatype, rescale slope and intercept; values are rounded to nearest and
    kept in range. The folder is there whole or not at all; one that holds an older series is
    replaced.

    label:   goes into the series description and says what was done, as in "enhanced"
    version: of the software, as in "diff-medical 0.1.0"
    """
    from pydicom.uid import generate_uid

    check_target(folder)
    series, now = generate_uid(), datetime.now()
    with replacing_folder(folder) as partial:
        for number, source in enumerate(stack.slices):
            with foreign(_unwritable), quiet():
                made = _derived(source, series, number + 1, now, label, version)
                _put_pixels(made, source, values[..., number])
                made.save_as(partial / f"{number + 1:05d}.dcm", enforce_file_format=True)
            release(values)


def _unwritable(why: str) -> ValueError:
    return ValueError(
        f"its header cannot be written again as DICOM ({why}); name a .nii.gz file as output"
    )


def _derived(
    source: Any, series: str, number: int, now: datetime, label: str, version: str
) -> Any:
    """The dataset of a new slice, but for its pixels."""
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    made = copy.deepcopy(source)
    made.remove_private_tags()
    for name in STALE:
        if name in made:
            delattr(made, name)
    instance = generate_uid()
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = instance
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SeriesInstanceUID = series
    made.SeriesNumber = int(source.get("SeriesNumber") or 0) + SERIES_OFFSET
    made.SeriesDescription = _joined(source.get("SeriesDescription"), label, 64)
    made.InstanceNumber = number
    kind = list(source.get("ImageType") or ["ORIGINAL", "PRIMARY"])
    made.ImageType = ["DERIVED", "SECONDARY", *kind[2:]]
    what = f"{label} by {version}: noise removed by a neural network; not for diagnosis"
    made.DerivationDescription = _joined(source.get("DerivationDescription"), what, 1024)
    made.DerivationCodeSequence = [
        *(source.get("DerivationCodeSequence") or []),
        coded(*SMOOTHING),
    ]
    made.SourceImageSequence = [_reference(source)]
    made.ContributingEquipmentSequence = [
        *(source.get("ContributingEquipmentSequence") or []),
        _equipment(version, now),
    ]
    made.InstanceCreationDate, made.InstanceCreationTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    return made


def _put_pixels(made: Any, source: Any, values: NDArray[np.float32]) -> None:
    """(X, Y) values into a slice as whole numbers in the bits that it has."""
    slope, inter = scaling_of(source)
    bits, signed = int(source.BitsStored), int(source.PixelRepresentation) == 1
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    dtype = np.dtype(f"<{'i' if signed else 'u'}{int(source.BitsAllocated) // 8}")
    stored = np.rint((values.T.astype(np.float64) - inter) / slope)
    pixels = np.ascontiguousarray(np.clip(stored, low, high).astype(dtype)).tobytes()
    made["PixelData"] = _element(pixels + b"\0" * (len(pixels) % 2), dtype.itemsize)


def _element(pixels: bytes, size: int) -> Any:
    from pydicom.dataelem import DataElement

    return DataElement(0x7FE00010, "OB" if size == 1 else "OW", pixels)


def _reference(source: Any) -> Any:
    from pydicom.dataset import Dataset

    one = Dataset()
    one.ReferencedSOPClassUID = source.SOPClassUID
    one.ReferencedSOPInstanceUID = source.SOPInstanceUID
    one.PurposeOfReferenceCodeSequence = [coded(*SOURCE)]
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


@contextmanager
def replacing_folder(folder: Path) -> Generator[Path]:
    """A temporary folder beside `folder` that becomes it when the block ends well."""
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    old = partial.with_name(f"{partial.name}.old")
    try:
        yield partial
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o777 & ~umask)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
