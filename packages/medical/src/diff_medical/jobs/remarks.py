"""The remarks on an enhanced scan beside its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diff_medical.enhancer.settings import Settings
from diff_medical.scan.nifti import Scan
from diff_medical.scan.open import SeriesScan

if TYPE_CHECKING:
    from diff_medical.enhancer.engine import Findings

__all__ = ["policy", "remarks"]

SHARP = 0.2  # correlation of neighbours below which noise of CT is that of a sharp kernel


def policy(scan: Scan, float32: bool) -> str:
    """Return in which numbers the voxels of a scan are written, and why."""
    if float32:
        return "32-bit floats, as asked"
    if scan.dtype.kind == "f" and not isinstance(scan, SeriesScan):
        return "the input's floats"
    slope, inter = scan.scaling
    if isinstance(scan, SeriesScan) and scan.dtype.kind == "f":
        return "the input's integers, slope and intercept of each slice, rounded to nearest"
    return f"the input's integers, slope {slope:g}, intercept {inter:g}, rounded to nearest"


def remarks(scan: Scan, result: Findings, settings: Settings, *, float32: bool) -> tuple[str, ...]:
    """Return what a user should know of a result: what limits it, and which checks it failed."""
    found: list[str] = []
    noise = result.noise
    step = abs(scan.scaling[0])
    if scan.dtype.kind in "iu" and not float32 and noise.sigma and step > noise.sigma:
        where = " in a NIfTI file" if isinstance(scan, SeriesScan) else ""
        found.append(
            f"its integer step {step:g} is coarser than the noise; 32-bit floats{where} keep more"
        )
    if noise.correlation is not None and noise.correlation > 0.4:
        found.append(
            f"its noise is correlated between voxels ({noise.correlation:.2f}): "
            "less of it is removed"
        )
    full = settings.change == 1 and not result.unchanged
    fine = noise.correlation is not None and noise.correlation < SHARP
    if full and fine and result.modality == "ct":
        found.append(
            f"its noise is as fine as its pixels (correlation {noise.correlation:.2f}), as sharp "
            "kernels make it: the noise of a full dose is removed with the rest, unless a dose "
            "is given"
        )
    return (*found, *(result.checks.remarks() if result.checks else ()))
