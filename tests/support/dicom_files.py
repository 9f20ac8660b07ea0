"""DICOM series as scanners write them, for the tests of both what reads and what writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

__all__ = ["edit", "write_series"]


def write_series(folder: Path, values: np.ndarray, *, uid: str = "1.2.3", **tags: Any) -> Path:
    """(X, Y, Z) HU as CT slices; Z downwards, so that files are in the reverse of their places."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = tags.pop("step", 2.5)
    for z in range(values.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{uid}.{z + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{uid}-{z:03d}.dcm"
        one = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        one.SeriesInstanceUID, one.PatientID, one.Modality = uid, "secret-17", "CT"
        one.SeriesDescription, one.InstanceNumber = "thorax", z
        one.Rows, one.Columns = values.shape[1], values.shape[0]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.RescaleSlope, one.RescaleIntercept = 2, -1024
        one.PixelSpacing = [0.9, 0.8]  # between rows, between columns
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [-10.0, -20.0, 100.0 - normal * z]
        stored = ((values[:, :, z].T + 1024) / 2).astype(np.uint16)
        one.PixelData = stored.tobytes()
        for name, value in tags.items():
            setattr(one, name, value)
        one.save_as(path, enforce_file_format=True)
    return folder


def edit(path: Path, **tags: Any) -> None:
    one = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(one, name, value)
    one.save_as(path)
