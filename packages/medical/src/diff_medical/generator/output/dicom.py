"""Synthetic scans as DICOM, of nobody: patient, study and series are new, and marked.

Synthetic Data (0008,001C) is YES, ImageType DERIVED\\SECONDARY, the derivation says how it was
made, Contributing Equipment what made it, and the patient's name begins with SYNTHETIC. The whole
record stands as JSON in Image Comments. DICOM PS3.3, C.7.6.1 General Image and C.12.1 SOP Common.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.marks.mark import NOTICE, Mark
from diff_medical.scan.dicom.folder import replacing_folder
from diff_medical.scan.dicom.write import coded
from diff_medical.scan.sections import grey_levels

if TYPE_CHECKING:
    from diff_medical.generator.model import Made

__all__ = ["write_series", "write_slice"]

# Where columns, rows and slices go in the usual view: left, right, back (P), feet (I), head (S).
VIEWS = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIR"}
AIR = -1024  # HU that is stored as 0
SYNTHESIZER = ("109100", "Synthesizing Equipment")
BY_NETWORK = ("123110", "Artificial Intelligence")
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_slice(path: Path, made: Made, mark: Mark) -> None:
    """Write a slice as one DICOM file; not atomically. Values are rounded to whole numbers."""
    for one in _datasets(made, mark, made.request.plane):
        one.save_as(path, enforce_file_format=True)


def write_series(folder: Path, made: Made, mark: Mark) -> None:
    """Write a volume as a folder of axial slices, whole or not at all."""
    with replacing_folder(folder) as partial:
        for one in _datasets(made, mark, "axial"):
            one.save_as(partial / f"{int(one.InstanceNumber):05d}.dcm", enforce_file_format=True)


def _datasets(made: Made, mark: Mark, plane: str) -> Iterator[Any]:
    """The slices of a scan across `plane`, in the order of their places."""
    from nibabel.orientations import (
        apply_orientation,
        axcodes2ornt,
        inv_ornt_aff,
        io_orientation,
        ornt_transform,
    )
    from pydicom.uid import generate_uid

    volume = made.volume
    turn = ornt_transform(io_orientation(made.affine), axcodes2ornt(VIEWS[plane]))
    turned = apply_orientation(volume, turn)
    affine = TO_LPS @ made.affine @ inv_ornt_aff(turn, volume.shape)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    modality = "ct" if made.request.modality == "ct" else "mr"
    low, high = grey_levels(np.ascontiguousarray(turned[..., turned.shape[2] // 2]), modality)
    now = datetime.now()
    for number in range(turned.shape[2]):
        one = _empty(modality)
        one.StudyInstanceUID, one.SeriesInstanceUID = study, series
        one.FrameOfReferenceUID = frame
        _identify(one, made, mark, now)
        _place(one, affine, number)
        one.WindowCenter, one.WindowWidth = round((low + high) / 2), max(1, round(high - low))
        _put_pixels(one, turned[..., number], modality)
        yield one


def _empty(modality: str) -> Any:
    """A dataset with what its kind of image must have and what is not known of no scanner."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        CTImageStorage,
        ExplicitVRLittleEndian,
        MRImageStorage,
        generate_uid,
    )

    one: Any = Dataset()
    one.file_meta = FileMetaDataset()
    one.SOPClassUID = CTImageStorage if modality == "ct" else MRImageStorage
    one.SOPInstanceUID = generate_uid()
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SpecificCharacterSet = "ISO_IR 192"
    one.Modality = modality.upper()
    unknown = "AccessionNumber ReferringPhysicianName PatientBirthDate PatientSex PatientPosition"
    for name in (*unknown.split(), "PositionReferenceIndicator", "AcquisitionNumber"):
        setattr(one, name, None)
    one.StudyID = "1"
    if modality == "ct":
        one.KVP = None
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, AIR, "HU"
    else:
        one.ScanningSequence, one.SequenceVariant, one.MRAcquisitionType = "RM", "NONE", None
        one.ScanOptions = one.EchoTime = one.RepetitionTime = one.EchoTrainLength = None
    return one


def _identify(one: Any, made: Made, mark: Mark, now: datetime) -> None:
    """Nobody's names and numbers, and how the image was made."""
    from pydicom.dataset import Dataset

    kind = f"{made.request.modality} {made.request.body}".upper()
    one.SyntheticData = "YES"
    one.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if one.Modality == "CT" else "OTHER"]
    one.PatientName = f"SYNTHETIC^{kind.replace(' ', '-')}-{mark.seed:06d}"
    one.PatientID = f"SYNTHETIC-{mark.fingerprint[:8]}-{mark.seed:06d}"
    one.BodyPartExamined = made.request.body.upper()[:16]
    one.StudyDescription = "SYNTHETIC"
    one.SeriesDescription = f"SYNTHETIC {kind}"[:64]
    one.SeriesNumber = 1
    one.StudyDate = one.SeriesDate = one.ContentDate = f"{now:%Y%m%d}"
    one.StudyTime = one.SeriesTime = one.ContentTime = f"{now:%H%M%S}"
    one.InstanceCreationDate, one.InstanceCreationTime = one.StudyDate, one.StudyTime
    one.Manufacturer, one.ManufacturerModelName = "diff-medical", mark.model[:64]
    one.SoftwareVersions, one.DeviceSerialNumber = mark.software, mark.fingerprint
    one.DerivationDescription = f"{NOTICE}. {mark.line()}"
    one.DerivationCodeSequence = [coded(*BY_NETWORK)]
    one.ImageComments = mark.json()
    one.BurnedInAnnotation, one.LossyImageCompression = "NO", "00"
    maker: Any = Dataset()
    maker.PurposeOfReferenceCodeSequence = [coded(*SYNTHESIZER)]
    maker.Manufacturer, maker.ManufacturerModelName = "diff-medical", mark.model[:64]
    maker.SoftwareVersions, maker.DeviceSerialNumber = mark.software, mark.fingerprint
    maker.ContributionDateTime = f"{now:%Y%m%d%H%M%S}"
    one.ContributingEquipmentSequence = [maker]


def _place(one: Any, affine: NDArray[np.float64], number: int) -> None:
    """Where slice `number` of a stack lies; `affine` goes to LPS mm."""

    def numbers(values: Any) -> list[str]:
        return [f"{value:.10g}"[:16] for value in np.asarray(values) + 0.0]  # no -0

    columns, rows, slices = np.linalg.norm(affine[:3, :3], axis=0)
    one.ImagePositionPatient = numbers(np.round(affine[:3, 2] * number + affine[:3, 3], 6))
    cosines = np.concatenate([affine[:3, 0] / columns, affine[:3, 1] / rows])
    one.ImageOrientationPatient = numbers(np.round(cosines, 9))
    one.PixelSpacing = numbers([rows, columns])
    one.SliceThickness = one.SpacingBetweenSlices = numbers([slices])[0]
    one.InstanceNumber = number + 1


def _put_pixels(one: Any, values: NDArray[np.float32], modality: str) -> None:
    """(columns, rows) values as 16-bit whole numbers."""
    one.Columns, one.Rows = values.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    stored = np.rint(values.T - (AIR if modality == "ct" else 0)).clip(0, 65535)
    one.add_new("PixelData", "OW", np.ascontiguousarray(stored.astype("<u2")).tobytes())
