"""What is written beside an enhanced scan, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .files import SCANS

__all__ = ["Products", "beside", "refuse_existing"]


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


def beside(target: Path, what: str) -> Path:
    """Where a product of the output `target` goes: its name with `what` for "enhanced", or for
    the "denoised" of BIDS; a NIfTI file, also beside a DICOM series.
    """
    name, suffix = SCANS.split(target.name) if SCANS.matches(target) else (target.name, ".nii.gz")
    if "_desc-denoised" in name:
        return target.with_name(name.replace("_desc-denoised", f"_desc-{what}") + suffix)
    return target.with_name(f"{name.removesuffix('_enhanced')}_{what}{suffix}")


def refuse_existing(source: Path, outputs: tuple[Path, ...], *, overwrite: bool) -> None:
    """FileExistsError for an output that exists unless `overwrite`, or that is the input."""
    for path in outputs:
        if path.exists() and path.resolve() == source.resolve():
            raise FileExistsError(f"the output {path} is the input itself; name another with -o")
        if path.exists() and not overwrite:
            raise FileExistsError(f"the output {path} exists; add --overwrite to replace it")
