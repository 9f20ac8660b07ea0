"""The files that the commands read and write."""

from __future__ import annotations

from pathlib import Path

from diff_core.command import FileKind

__all__ = [
    "HEAD",
    "ITK",
    "MGH",
    "NIFTI",
    "PAIRS",
    "SCANS",
    "SINGLE",
    "TRAINING",
    "UNREAD",
    "begins_as_dicom",
    "dicom_files",
    "is_alone",
    "is_dicom",
    "is_hidden",
    "single",
]

NIFTI = FileKind(".nii or .nii.gz files", (".nii.gz", ".nii"))
"""The files of NIfTI."""
MGH = FileKind(".mgz or .mgh files", (".mgz", ".mgh"))
"""The files of FreeSurfer."""
ITK = FileKind(".nrrd or .mha files", (".nrrd", ".nhdr", ".mha", ".mhd"))
"""The files of NRRD and MetaImage."""
SINGLE = FileKind(
    ".nii, .nii.gz, .mgz, .mgh, .nrrd or .mha files",
    (*NIFTI.suffixes, *MGH.suffixes, ".nrrd", ".mha"),
)
"""The scans that are one file, as all are that are written."""

_HEADERS = (".nhdr", ".mhd", ".hdr")
PAIRS = (*_HEADERS, ".img", ".raw")
"""The files of scans that are two files."""

_WRITTEN = {".nhdr": ".nrrd", ".mhd": ".mha", ".hdr": ".nii.gz", ".img": ".nii.gz"}
"""What is written for a scan of two files."""


HEAD = 132
"""Bytes at the start of a file that tell whether it is DICOM."""
VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST TM UC UI UL UN US UT".split()
)
FIRST = (0x0000, 0x0001, 0x0005, 0x0008, 0x0010, 0x0012, 0x0014, 0x0016, 0x0018)
"""Elements of group 0008 that a data set without a header of its own begins with."""


def single(path: Path) -> Path:
    """Return the name of one file for an output that is named like a scan of two files."""
    new = _WRITTEN.get(path.suffix.lower())
    return path if new is None else path.with_name(path.name[: -len(path.suffix)] + new)


def is_alone(path: Path) -> bool:
    """Return True for a .hdr file without its .img, which is no scan."""
    return path.suffix.lower() == ".hdr" and not any(
        path.with_suffix(suffix).exists() for suffix in (".img", ".IMG")
    )


def is_dicom(path: Path) -> bool:
    """Return True for a file that has DICOM's mark, or begins as one of an old archive without
    it.
    """
    try:
        with path.open("rb") as file:
            return begins_as_dicom(file.read(HEAD))
    except OSError:
        return False


def begins_as_dicom(head: bytes) -> bool:
    """Return True if the first `HEAD` bytes of a file are those of DICOM.

    That is the mark behind the preamble of 128 bytes or, where both are missing, an element of
    group 0002 (the file's own header) or one of the first of group 0008, little endian.
    """
    if head[128:132] == b"DICM":
        return True
    group, element = (int.from_bytes(head[i : i + 2], "little") for i in (0, 2))
    if group == 0x0002:
        return element <= 0x0002 and head[4:6] in (b"UL", b"OB", b"UI")
    if group != 0x0008 or element not in FIRST:
        return False
    length = int.from_bytes(head[4:8], "little")
    return head[4:6] in VRS or (0 < length <= 64 and length % 2 == 0)


def dicom_files(folder: Path, *, recursive: bool = True) -> list[Path]:
    """The DICOM files in a folder, or below it, sorted.

    Left out is what is hidden (its name, or that of a folder on the way, begins with a dot), as
    the temporary files of a writer are.
    """
    walk = folder.rglob("*") if recursive else folder.iterdir()
    return [
        path for path in sorted(walk)
        if not is_hidden(path, folder) and path.is_file() and is_dicom(path)
    ]  # fmt: skip


def is_hidden(path: Path, folder: Path) -> bool:
    """Return True for a path below `folder` that has a name with a leading dot on its way."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


class _Scans(FileKind):
    """Files of scans, and DICOM files of any name, which are taken by their folder."""

    def takes(self, path: Path) -> bool:
        return self.matches(path) or is_dicom(path)


_CONVERT = "not read; convert them to .nii.gz"
UNREAD = {
    **dict.fromkeys(".mnc .par .rec .nia".split(), _CONVERT),
    ".dcm": "no DICOM files; check how they were exported",
    ".ima": "no DICOM files; check how they were exported",
    ".zip": "name an archive to take it for a DICOM series",
}
"""File name endings of scans that a folder is not searched for, with the reason."""

SCANS = _Scans(
    SINGLE.name,
    (*SINGLE.suffixes, *_HEADERS),
    foreign=(*_HEADERS, ".img"),
    unread=UNREAD,
)
"""All scans but DICOM; those of two files are known by their header."""

_BESIDE = "DICOM files beside other scans are no training data; give a folder of their own"
TRAINING = FileKind(
    SCANS.name,
    SCANS.suffixes,
    unread={
        **UNREAD,
        **dict.fromkeys((".dcm", ".ima"), _BESIDE),
        ".zip": "archives are no training data; unpack them",
    },
)
"""The scans that are training data, in a folder that does not hold DICOM alone."""
