"""The checks of a NIfTI file before its voxels are read, and its geometry."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import imageglobals
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from diff_medical.scan.kinds import SCANS
from diff_medical.scan.refusal import ScanError, damaged
from diff_medical.scan.spacing import Spacing

__all__ = [
    "check_length",
    "check_packing",
    "check_sum",
    "first_bytes",
    "geometry",
    "is_packed",
    "open_image",
]

DEFLATE_LIMIT = 1040  # no deflate stream is longer than its data by more than this factor
FARTHEST = 1e9  # mm from voxel to voxel: beyond it the header is rubbish, not in another unit
UNTRUSTED = "its geometry cannot be trusted: set qform or sform first (say with fslorient)"


def open_image(path: Path) -> tuple[Any, Any]:
    """Return nibabel's Nifti1Image or Nifti2Image, and the header as it stands in the file.

    They differ where nibabel repairs the header while loading.
    """
    packed = check_packing(path)
    head = first_bytes(path, 540, packed=packed)
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    if 348 in sizes and head[344:347] == b"n+1":
        kind, length, image_class = nib.Nifti1Header, 348, nib.Nifti1Image
    elif 540 in sizes and head[4:7] == b"n+2":
        kind, length, image_class = nib.Nifti2Header, 540, nib.Nifti2Image
    else:
        pair = 348 in sizes and head[344:347] in (b"ni1", b"\0\0\0")
        problem = (
            "is half of a two-file image (Analyze or NIfTI pair)"
            if pair
            else "is not a NIfTI file"
        )
        raise ScanError(path, problem, "convert it to .nii.gz")
    if len(head) < length:
        raise ScanError(path, "the file ends within its header", "copy it again")
    with damaged(path, "its header is damaged", "export it again"), quiet():
        raw = kind(head[:length], check=False)
        image: Any = image_class.from_filename(path)
        for extension in image.header.extensions:
            extension.get_content()  # which is not read before it is asked for
    return image, raw


def first_bytes(path: Path, count: int, *, packed: bool) -> bytes:
    """Return the first bytes of a scan, unpacked; fewer if it is shorter. Raises ScanError where
    they cannot be read.
    """
    try:
        with (
            damaged(path, "the gzip stream is cut short or damaged", "copy it again"),
            gzip.open(path) if packed else path.open("rb") as file,
        ):
            return file.read(count)
    except PermissionError as error:
        raise ScanError(path, "may not be read", "change its permissions") from error


def is_packed(path: Path) -> bool:
    """Return True for the name of a gzip-compressed scan: .nii.gz or .mgz."""
    return path.name.lower().endswith((".gz", ".mgz"))


def check_packing(path: Path) -> bool:
    """Return True for a file that is gzip-compressed. Raises ScanError where its name says
    otherwise, or where there is no such file, or nothing in it.
    """
    if not path.exists():
        raise ScanError(path, "no such file", "check the name")
    if not SCANS.matches(path):
        raise ScanError(path, "not the name of a scan", f"give one of the {SCANS.name}")
    if path.stat().st_size == 0:
        raise ScanError(path, "the file is empty", "copy or export it again")
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    plain = ".mgh" if path.suffix.lower() == ".mgz" else ".nii"
    if is_packed(path) and not is_gzip:
        raise ScanError(
            path,
            f"is named {path.suffix} but is not gzip-compressed",
            f"rename it to {plain} or compress it",
        )
    if is_gzip and not is_packed(path):
        other = ".mgz" if path.suffix.lower() == ".mgh" else ".nii.gz"
        raise ScanError(
            path, f"is gzip-compressed but named {path.suffix}", f"rename it to {other}"
        )
    return is_gzip


@contextmanager
def quiet() -> Generator[None]:
    """Without nibabel's warnings: what matters in them is checked and said here."""
    logger = imageglobals.logger
    level, logger.level = logger.level, 60
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.level = level


def geometry(path: Path, header: Any, axes: int) -> tuple[Spacing, tuple[str, ...]]:
    """Return the voxel sizes, and what is odd about the geometry. The sform counts, then the
    qform, then pixdim alone.
    """
    sform = qform = None
    with np.errstate(all="ignore"):
        if header["sform_code"] > 0:
            sform = header.get_sform()
        if header["qform_code"] > 0:
            try:
                qform = header.get_qform()
            except (HeaderDataError, ValueError, np.linalg.LinAlgError):
                qform = np.full((4, 4), np.nan)
    sizes = tuple(float(s) for s in np.abs(header["pixdim"][1:4]))
    if sform is None and qform is None:
        # axes that the image does not have need no voxel size
        sizes = tuple(1.0 if a >= axes and not sizes[a] > 0 else sizes[a] for a in range(3))
        if not all(np.isfinite(s) and s > 0 for s in sizes):
            raise ScanError(
                path,
                f"has no usable geometry (voxel sizes {sizes}, no qform or sform)",
                UNTRUSTED,
            )
        return sizes, ("neither qform nor sform is set: orientation unknown",)  # type: ignore[return-value]
    usable = [a for a in (sform, qform) if a is not None and _is_affine(a)]
    if not usable:
        named = " and ".join(n for n, a in (("sform", sform), ("qform", qform)) if a is not None)
        raise ScanError(
            path, f"has no usable geometry ({named} zero, singular or not finite)", UNTRUSTED
        )
    notes = []
    if sform is not None and not _is_affine(sform):
        notes.append("sform is unusable, qform is used")
    elif qform is not None and not _is_affine(qform):
        notes.append("qform is unusable, sform is used")
    elif len(usable) == 2 and not np.allclose(usable[0], usable[1], atol=1e-2, rtol=1e-3):
        notes.append("qform and sform differ, sform is used")
    spacing = tuple(float(s) for s in np.linalg.norm(usable[0][:3, :3], axis=0))
    return spacing, tuple(notes)  # type: ignore[return-value]


def _is_affine(affine: NDArray[Any]) -> bool:
    linear = affine[:3, :3]
    if not np.isfinite(affine).all() or np.abs(linear).max() > FARTHEST:
        return False
    lengths = np.linalg.norm(linear, axis=0)
    return bool((lengths > 1e-9).all() and abs(np.linalg.det(linear / lengths)) > 1e-4)


def check_length(path: Path, image: Any, dtype: np.dtype[Any]) -> None:
    """Refuse a file that cannot hold what its header promises, before memory is taken for it."""
    promised = int(np.prod(image.shape, dtype=object)) * dtype.itemsize
    size = path.stat().st_size
    if promised > (size * DEFLATE_LIMIT if is_packed(path) else size - image.dataobj.offset):
        raise ScanError(
            path,
            f"is cut short: its header promises {promised:,} bytes of voxels",
            "copy it again",
        )


def check_sum(path: Path) -> None:
    """Read a gzip stream to its end, where its checksum is compared; nibabel stops before it."""
    if is_packed(path):
        with gzip.open(path) as file:
            while file.read(1 << 22):
                pass
