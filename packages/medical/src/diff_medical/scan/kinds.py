"""The files that the commands read and write."""

from __future__ import annotations

from pathlib import Path

from diff_core.command import FileKind

__all__ = ["MGH", "NIFTI", "SCANS", "UNREAD", "is_dicom"]

NIFTI = FileKind(".nii or .nii.gz files", (".nii.gz", ".nii"))
MGH = FileKind(".mgz or .mgh files", (".mgz", ".mgh"))


def is_dicom(path: Path) -> bool:
    """Return True for a file that has DICOM's mark."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


class _Scans(FileKind):
    """Files of scans, and DICOM files of any name, which are taken by their folder."""

    def takes(self, path: Path) -> bool:
        return self.matches(path) or is_dicom(path)


_CONVERT = "not read; convert them to .nii.gz"
UNREAD = {
    **dict.fromkeys(".nrrd .nhdr .mha .mhd .hdr .img .mnc .par .rec .nia".split(), _CONVERT),
    ".dcm": "no DICOM files; check how they were exported",
    ".ima": "no DICOM files; check how they were exported",
    ".zip": "name an archive to take it for a DICOM series",
}
"""File name endings of scans that a folder is not searched for, with the reason."""

SCANS = _Scans(
    ".nii, .nii.gz, .mgz or .mgh files", (*NIFTI.suffixes, *MGH.suffixes), unread=UNREAD
)
