"""The names of what is written beside a scan."""

from __future__ import annotations

import re
from pathlib import Path

from diff_medical.scan.kinds import SCANS

__all__ = ["TAGS", "beside", "is_label_map", "is_made_here", "labels_beside"]

TAGS = ("_enhanced", "_residual", "_upsampled", "_inpainted")
"""End the names of what `diff_medical.enhance` writes beside a scan."""

LABELS = "_dseg"
"""Ends the name of a map of labels, as in BIDS."""


def is_label_map(path: Path) -> bool:
    """Return True for a file that is named as BIDS names maps of labels."""
    return SCANS.matches(path) and SCANS.split(path.name)[0].endswith(LABELS)


def labels_beside(scan: Path) -> Path:
    """Return the place of the label map of a scan, a NIfTI file, also beside a DICOM series or a
    DICOM file.
    """
    name = SCANS.split(scan.name)[0] if SCANS.matches(scan) else scan.name.removesuffix(".dcm")
    return scan.with_name(f"{name}{LABELS}.nii.gz")


def is_made_here(path: Path) -> bool:
    """Return True for a file, or the folder of a DICOM series, that is named like an output of
    this package and lies beside what it was made from.
    """
    name, _ = SCANS.split(path.name) if SCANS.matches(path) else (path.name, "")
    for tag in TAGS:
        if name.endswith(tag):
            origins = ("", ".zip", *SCANS.suffixes)
            stem = name.removesuffix(tag)
            return bool(stem) and any(path.with_name(stem + s).exists() for s in origins)
    return False


def beside(target: Path, what: str) -> Path:
    """Return where a product of the output `target` goes: its name with `what` for "enhanced", or
    for the "denoised" of BIDS; a NIfTI file, also beside a DICOM series.
    """
    name, suffix = SCANS.split(target.name) if SCANS.matches(target) else (target.name, ".nii.gz")
    if found := re.search(r"_desc-(denoised|[a-zA-Z0-9+]+Denoised)(?=_)", name):
        label = found[1].removesuffix("Denoised") + what.capitalize()
        label = what if found[1] == "denoised" else label
        return target.with_name(name.replace(found[0], f"_desc-{label}") + suffix)
    return target.with_name(f"{name.removesuffix('_enhanced')}_{what}{suffix}")
