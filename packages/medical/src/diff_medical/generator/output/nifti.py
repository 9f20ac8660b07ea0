"""Synthetic scans as NIfTI files whose headers are marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_medical.marks.mark import Mark
from diff_medical.marks.nifti import sign

if TYPE_CHECKING:
    from diff_medical.generator.model import Made

__all__ = ["write"]

_SCANNER = 1  # the form code for coordinates of a scanner


def write(path: Path, made: Made, mark: Mark) -> None:
    """Writes a scan, float32, with its mark to `path`, .nii or .nii.gz; not atomically."""
    from nibabel.nifti1 import Nifti1Image

    image: Any = Nifti1Image(made.volume, made.affine)
    header = image.header
    header.set_xyzt_units("mm")
    sign(header, mark)
    image.set_sform(made.affine, _SCANNER)
    image.set_qform(made.affine, _SCANNER)
    image.to_filename(path)
