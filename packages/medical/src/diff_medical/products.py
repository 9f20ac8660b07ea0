"""What is written beside an enhanced scan, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .files import SCANS

__all__ = ["TAGS", "Products", "beside", "is_made_here"]

TAGS = ("_enhanced", "_residual", "_upsampled", "_inpainted")
"""End the names of what `diff_medical.enhance` writes beside a scan."""


@dataclass(frozen=True)
class Products:
    """What else to write.

    residual:    whether to write input - output, beside the output
    uncertainty: file for the standard deviation of the error of each voxel (NIfTI, float32)
    picture:     file for three planes before and after (PNG, PDF, SVG)
    report:      file for a page on what was done (HTML)
    """

    residual: bool = False
    uncertainty: Path | None = None
    picture: Path | None = None
    report: Path | None = None

    def paths(self, target: Path) -> tuple[Path, ...]:
        """The files that will be written beside the output `target`."""
        residual = beside(target, "residual") if self.residual else None
        chosen = (residual, self.uncertainty, self.picture, self.report)
        return tuple(path for path in chosen if path is not None)


def is_made_here(path: Path) -> bool:
    """Whether a file, or the folder of a DICOM series, is called like an output of this package,
    and what it was made from lies beside it.
    """
    name, _ = SCANS.split(path.name) if SCANS.matches(path) else (path.name, "")
    for tag in TAGS:
        if name.endswith(tag):
            origins = ("", ".zip", *SCANS.suffixes)
            stem = name.removesuffix(tag)
            return bool(stem) and any(path.with_name(stem + s).exists() for s in origins)
    return False


def beside(target: Path, what: str) -> Path:
    """Where a product of the output `target` goes: its name with `what` for "enhanced", or for
    the "denoised" of BIDS; a NIfTI file, also beside a DICOM series.
    """
    name, suffix = SCANS.split(target.name) if SCANS.matches(target) else (target.name, ".nii.gz")
    if "_desc-denoised" in name:
        return target.with_name(name.replace("_desc-denoised", f"_desc-{what}") + suffix)
    return target.with_name(f"{name.removesuffix('_enhanced')}_{what}{suffix}")
