"""DICOM series out of zip archives that come from anywhere: nothing of them is trusted."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from diff_medical.scan.kinds import HEAD, begins_as_dicom
from diff_medical.scan.refusal import foreign

__all__ = ["unpack"]

LARGEST = 32 << 30  # bytes, unpacked
RATIO = 200  # unpacked to packed: slices of air are packed 50 to 1, bombs 1,000 to 1 and more
UNSUSPICIOUS = 64 << 20  # bytes, unpacked, below which no ratio is suspicious
MEMBERS = 200_000
# zipfile unpacks these piece by piece, and others (bzip2, LZMA) at once, whatever they hold.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
PIECE = 1 << 20  # bytes that are unpacked at a time


def unpack(path: Path, folder: Path) -> None:
    """Write the DICOM files of the zip archive `path` into `folder`, under numbers for names.

    Raises ValueError for what is no zip archive, is damaged, encrypted or neither stored nor
    deflated, names files outside itself or links, or would unpack to more than any series takes.
    """
    with foreign(_damaged):
        archive = zipfile.ZipFile(path)
    with archive:
        members = [one for one in archive.infolist() if not one.filename.endswith("/")]
        _check(members, path.stat().st_size)
        if sum(one.file_size for one in members) > shutil.disk_usage(folder).free:
            raise ValueError("does not fit on the disk unpacked; make room in the temp folder")
        for number, member in enumerate(members):
            if any(part.startswith(".") for part in PurePosixPath(member.filename).parts):
                continue  # hidden, as what a killed writer leaves is
            _extract(archive, member, folder / f"{number:06d}.dcm")


def _damaged(why: str) -> ValueError:
    return ValueError(f"is no zip archive, or damaged ({why}); copy it again")


def _check(members: list[zipfile.ZipInfo], packed: int) -> None:
    for one in members:
        shown = " ".join(one.filename.split())
        name = PurePosixPath(one.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1]):
            raise ValueError(f"names a file outside itself ({shown}); do not trust it")
        if stat.S_ISLNK(one.external_attr >> 16):
            raise ValueError(f"holds a link ({shown}); do not trust it")
        if one.flag_bits & 1:
            raise ValueError("is encrypted; unpack it first")
        if one.compress_type not in METHODS:
            raise ValueError("is packed by another method than deflate; unpack it first")
    total = sum(one.file_size for one in members)
    if (
        total > LARGEST
        or len(members) > MEMBERS
        or (total > UNSUSPICIOUS and total > RATIO * packed)
    ):
        raise ValueError(
            f"would unpack from {packed:,} to {total:,} bytes in {len(members):,} files, like a "
            "zip bomb; unpack it yourself if you trust it"
        )


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """One member, if it is DICOM; never more bytes than it declares, which zipfile sees to."""
    with foreign(_damaged):
        source = archive.open(member)
    with source:
        with foreign(_damaged):
            part = source.read(HEAD)
        if not begins_as_dicom(part):
            return
        with target.open("wb") as file:
            while part:
                file.write(part)
                with foreign(_damaged):
                    part = source.read(PIECE)
