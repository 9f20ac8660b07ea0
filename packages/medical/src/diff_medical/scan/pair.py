"""Images of two files, .hdr and .img: NIfTI pairs and Analyze 7.5 (also SPM's).

They are read, and written as one NIfTI file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
from nibabel.nifti1 import Nifti1Pair, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Pair, Nifti2PairHeader
from nibabel.spm99analyze import Spm99AnalyzeImage

from diff_medical.scan.refusal import ScanError, damaged

__all__ = ["is_pair", "open_pair"]

ALIGNED = 2  # the form code for coordinates of another image, which is what SPM's .mat gives


def is_pair(path: Path) -> bool:
    """Return True for the name of one of two files."""
    return path.suffix.lower() in (".hdr", ".img")


def open_pair(path: Path) -> tuple[Any, Any, Path]:
    """Return an image of two files as nibabel's Nifti1Image or Nifti2Image, its header as it
    stands in the file, and the file of its voxels. `path` is either of the two.

    Raises ScanError where one of them is missing or they are no image.
    """
    header, voxels = (_sibling(path, suffix) for suffix in (".hdr", ".img"))
    head = header.read_bytes()[:540]
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    with damaged(path, "its header is damaged", "export it again"):
        if 540 in sizes and head[4:7] == b"ni2":
            return *_as_one(Nifti2Pair, Nifti2PairHeader, nib.Nifti2Image, header, 540), voxels
        if 348 in sizes and head[344:347] == b"ni1":
            return *_as_one(Nifti1Pair, Nifti1PairHeader, nib.Nifti1Image, header, 348), voxels
        analyze = 348 in sizes and len(head) == 348
        if analyze:
            return *_analyze(header), voxels
    raise ScanError(path, "is no image of two files (Analyze or NIfTI)", "convert it to .nii.gz")


def _sibling(path: Path, suffix: str) -> Path:
    for wanted in (suffix, suffix.upper()):
        if path.with_suffix(wanted).is_file():
            return path.with_suffix(wanted)
    raise ScanError(path, f"lacks its other file, {path.stem}{suffix}", "copy it too")


def _as_one(pair: Any, pair_header: Any, image_class: Any, header: Path, length: int) -> Any:
    image = pair.from_filename(header)
    raw = pair_header(header.read_bytes()[:length], check=False)
    made = image_class.header_class(image.header.binaryblock, image.header.endianness, check=False)
    made["magic"], made["vox_offset"] = made.single_magic, 0
    made.extensions.extend(image.header.extensions)
    return image_class(image.dataobj, made.get_best_affine(), made), raw


def _analyze(header: Path) -> Any:
    """Analyze does not say where the patient's left is; SPM does in a file .mat."""
    image: Any = Spm99AnalyzeImage.from_filename(header)
    made: Any = nib.Nifti1Header()
    made.set_data_shape(image.shape)
    made.set_data_dtype(image.get_data_dtype())
    made.set_zooms(image.header.get_zooms())
    made.set_xyzt_units("mm")
    made["descrip"] = image.header["descrip"]
    if header.with_suffix(".mat").is_file():
        made.set_sform(image.affine, ALIGNED)
    return nib.Nifti1Image(image.dataobj, made.get_best_affine(), made), made
