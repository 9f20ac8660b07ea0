"""DICOM files that hold several images, as Siemens (mosaics) and Philips (enhanced objects) write
them."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

__all__ = ["write_enhanced", "write_mosaics"]

OBLIQUE = np.array([[0.8, 0.6, 0.0], [0.0, 0.0, -1.0]])
"""Directions along a row and along a column, LPS: an oblique coronal plane."""


def _new(path: Path, kind: str, uid: str, number: int) -> Any:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = kind, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"{uid}.{number}"
    one: Any = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = kind, f"{uid}.{number}"
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "2.1", uid, "2.2"
    one.PatientID, one.PatientName, one.Modality = "secret-17", "X^Y", "MR"
    one.SeriesDescription, one.SeriesNumber, one.InstanceNumber = "brain", 7, number
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.Manufacturer, one.RepetitionTime = "SIEMENS", 2500
    return one


def _numbers(values: Any) -> list[str]:
    return [f"{value:.8g}" for value in np.asarray(values, float).ravel()]


def _csa(**tags: Sequence[str]) -> bytes:
    """A CSA header of the second kind."""
    made = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, items in tags.items():
        kind = {"A": b"SH", "N": b"US", "S": b"FD"}[name[0]]
        made += struct.pack("<64si4s3i", name.encode(), len(items), kind, 4, 6, 77)
        for number in range(6):
            text = items[number].encode() + b"\0" if number < len(items) else b""
            made += struct.pack("<4i", len(text), len(text), 77, len(text))
            made += text + b"\0" * (-len(text) % 4)
    return made


def write_mosaics(
    folder: Path,
    values: np.ndarray,
    *,
    origin: Sequence[float] = (-90, 40, 60),
    downwards: bool = False,
    csa: bool = True,
    count: bool = True,
) -> np.ndarray:
    """(X, Y, Z, V) whole numbers as one mosaic a volume; returns the affine (4, 4) to RAS mm.

    downwards: slices go against the normal of their rows and columns
    csa, count: whether the CSA header, and the number of images beside it, are there
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns, rows, slices, volumes = values.shape
    side = math.ceil(math.sqrt(slices))
    normal = np.cross(*OBLIQUE) * (-1 if downwards else 1)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([OBLIQUE[0] * 2.0, OBLIQUE[1] * 2.5, normal * 3.5], 1)
    affine[:3, 3] = origin
    # Siemens gives the place of a slice as large as the mosaic around the same centre
    shift = affine[:3, :2] @ ((np.array([columns, rows]) * (side - 1)) / 2)
    for number in range(1, volumes + 1):
        path = folder / f"{volumes - number:03d}.ima"
        one = _new(path, MRImageStorage, "1.3.12", number)
        one.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND", "MOSAIC"]
        one.ImagePositionPatient = _numbers(affine[:3, 3] - shift)
        one.ImageOrientationPatient = _numbers(OBLIQUE)
        one.PixelSpacing, one.SliceThickness = ["2.5", "2"], "3"
        one.SpacingBetweenSlices = "3.5"
        block = one.private_block(0x19, "SIEMENS MR HEADER", create=True)
        if count:
            block.add_new(0x0A, "US", slices)
        block.add_new(0x0C, "IS", str(1000 * (number - 1)))
        if csa:
            holder = one.private_block(0x29, "SIEMENS CSA HEADER", create=True)
            content = _csa(
                NumberOfImagesInMosaic=[str(slices)], SliceNormalVector=_numbers(normal),
                AcquisitionMatrixText=[f"{rows}*{columns}"],
            )  # fmt: skip
            holder.add_new(0x10, "OB", content)
        picture = np.zeros((side * rows, side * columns), np.uint16)
        for z in range(slices):
            top, left = z // side * rows, z % side * columns
            picture[top : top + rows, left : left + columns] = values[:, :, z, number - 1].T
        one.Rows, one.Columns = picture.shape
        one.PixelData = picture.tobytes()
        one.save_as(path, enforce_file_format=True)
    return np.diag([-1.0, -1, 1, 1]) @ affine


def _group(**tags: Any) -> list[Any]:
    made: Any = Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return [made]


def write_enhanced(
    path: Path,
    values: np.ndarray,
    *,
    echoes: Sequence[float] = (4.0,),
    slope: float = 1.0,
    order: Sequence[int] | None = None,
    instance: str = "",
    **tags: Any,
) -> np.ndarray:
    """(X, Y, Z, V) whole numbers as one enhanced MR object, of an echo time for each volume;
    returns the affine (4, 4) to RAS mm.

    order: of the frames, else all echoes of the first slice, of the second, ...
    instance: ends the identity of the object
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns, rows, slices, volumes = values.shape
    normal = np.cross(*OBLIQUE)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([OBLIQUE[0] * 2.0, OBLIQUE[1] * 2.5, normal * 3.0], 1)
    affine[:3, 3] = (-80, 30, 55)
    one = _new(path, EnhancedMRImageStorage, "1.3.46", 1)
    one.Manufacturer, one.ImageType = "Philips", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    one.Rows, one.Columns, one.NumberOfFrames = rows, columns, slices * volumes
    shared: Any = Dataset()
    shared.PlaneOrientationSequence = _group(ImageOrientationPatient=_numbers(OBLIQUE))
    shared.PixelMeasuresSequence = _group(
        PixelSpacing=["2.5", "2"], SliceThickness="3", SpacingBetweenSlices="3"
    )
    shared.MRImageFrameTypeSequence = _group(FrameType=list(one.ImageType))
    one.SharedFunctionalGroupsSequence = [shared]
    frames, pixels = [], []
    for number in order or range(slices * volumes):
        z, v = divmod(number, volumes)
        frame: Any = Dataset()
        place = affine[:3, 3] + z * affine[:3, 2]
        frame.PlanePositionSequence = _group(ImagePositionPatient=_numbers(place))
        frame.FrameContentSequence = _group(
            StackID="1", InStackPositionNumber=z + 1, DimensionIndexValues=[1, z + 1, v + 1]
        )
        frame.MREchoSequence = _group(EffectiveEchoTime=echoes[v])
        frame.PixelValueTransformationSequence = _group(
            RescaleSlope=str(slope), RescaleIntercept="0", RescaleType="US"
        )
        frames.append(frame)
        pixels.append(values[:, :, z, v].T)
    one.PerFrameFunctionalGroupsSequence = frames
    organization = generate_uid()
    one.DimensionOrganizationSequence = _group(DimensionOrganizationUID=organization)
    one.DimensionIndexSequence = [
        _group(
            DimensionOrganizationUID=organization, DimensionIndexPointer=pydicom.tag.Tag(tag),
            FunctionalGroupPointer=pydicom.tag.Tag(group),
        )[0]
        for tag, group in (
            ("StackID", "FrameContentSequence"), ("InStackPositionNumber", "FrameContentSequence"),
            ("EffectiveEchoTime", "MREchoSequence"),
        )
    ]  # fmt: skip
    one.PixelData = np.stack(pixels).astype(np.uint16).tobytes()
    one.SOPInstanceUID += instance
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    for name, value in tags.items():
        setattr(one, name, value)
    one.save_as(path, enforce_file_format=True)
    return np.diag([-1.0, -1, 1, 1]) @ affine
