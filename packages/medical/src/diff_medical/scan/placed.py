"""A scan that is compared with a reference: where it lies, and its voxels in the same order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from numpy.typing import NDArray

from diff_medical.scan.declared import no_magnitude
from diff_medical.scan.nifti import Scan
from diff_medical.scan.patterns import LABELS, not_intensities
from diff_medical.scan.refusal import ScanError

__all__ = ["Placed"]

Array = NDArray[np.float64]
NEAR = 0.1  # of a voxel: the farthest that corners may be apart
ONE_GRID = "give scans of one grid"
DICE = "compare them by Dice, as monai.metrics.DiceMetric computes it"


@dataclass(frozen=True)
class Placed:
    """A scan in the order of the axes of a reference.

    turn:   the orientation transform of nibabel from its axes to those of the reference
    turned: what was done to it, "" for nothing
    """

    scan: Scan
    turn: NDArray[np.floating] | None = None
    turned: str = ""

    @classmethod
    def on(cls, scan: Scan, reference: Placed | None = None) -> Placed:
        """Place a scan on its reference, None for the reference itself.

        Raises ScanError for one that lies elsewhere. Where one of the two does not say how it
        lies, voxels are compared in the order of the file.
        """
        if reference is None:
            return cls(scan)
        to = reference.scan
        affine, shape = scan.image.affine, scan.grid
        turn, turned = None, ""
        if scan.is_oriented and to.is_oriented:
            wanted = ornt_transform(io_orientation(affine), io_orientation(to.image.affine))
            if not np.array_equal(wanted, [[0, 1], [1, 1], [2, 1]]):
                was, now = ("".join(map(str, aff2axcodes(a))) for a in (affine, to.image.affine))
                turn, turned = wanted, f"is stored {was}, the reference {now}: it was turned"
                affine = affine @ inv_ornt_aff(wanted, shape)
                shape = tuple(shape[int(a)] for a in np.argsort(wanted[:, 0]))
        if shape != to.grid:
            raise ScanError(
                scan.path, f"has shape {scan.shape}, the reference {to.shape}", ONE_GRID
            )
        if scan.is_oriented and to.is_oriented:
            apart = _apart(affine, to.image.affine, shape)
            if apart > NEAR * min(to.spacing):
                raise ScanError(
                    scan.path,
                    f"lies elsewhere than the reference, by up to {apart:.3g} mm",
                    "resample it to the grid of the reference first, as "
                    "nibabel.processing.resample_from_to does",
                )
        return cls(scan, turn, turned)

    def volume(self, index: int) -> Array:
        """Return volume `index` (X, Y, Z), float64, in the order of the reference."""
        slope, inter = self.scan.scaling
        values = self.scan.stored[..., index].astype(np.float64) * slope + inter
        return values if self.turn is None else apply_orientation(values, self.turn)

    def check(self, values: Array) -> None:
        """Raise ScanError for voxels that are NaN or Inf."""
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise ScanError(self.scan.path, f"{count:,} voxels are NaN or Inf", "repair it first")

    def refuse_labels(self, truth: Array, found: Array) -> None:
        """Raise ScanError where this reference and its estimate are maps of labels."""
        declared = "labels" in no_magnitude(self.scan.path)
        if declared or LABELS == not_intensities(truth) == not_intensities(found):
            raise ScanError(
                self.scan.path,
                "is a map of labels, of which scores of grey values mean nothing",
                DICE,
            )


def _apart(
    one: NDArray[np.floating], other: NDArray[np.floating], shape: tuple[int, ...]
) -> float:
    """Return how far apart two affines put the corners of a volume, mm."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], (1,))).reshape(4, -1)
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())
