"""The files that the commands read and write."""

from __future__ import annotations

from pathlib import Path

from diff_core.command import FileKind

__all__ = ["MGH", "NIFTI", "SCANS", "is_dicom"]

NIFTI = FileKind(".nii or .nii.gz files", (".nii.gz", ".nii"))
MGH = FileKind(".mgz or .mgh files", (".mgz", ".mgh"))
SCANS = FileKind(".nii, .nii.gz, .mgz or .mgh files", (*NIFTI.suffixes, *MGH.suffixes))


def is_dicom(path: Path) -> bool:
    """Return True for a file that has DICOM's mark."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
