"""Files that belong to a scan, voxel by voxel: masks, maps of noise, holes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .nifti import Scan, ScanError, read

__all__ = ["on_grid"]


def on_grid(path: Path, scan: Scan) -> Scan:
    """The file of one volume that lies where `scan` does."""
    other = read(path)
    if other.grid != scan.grid or other.volumes != 1:
        raise ScanError(
            path, f"has shape {other.shape}, the scan {scan.shape[:3]}", "give one on its grid"
        )
    if not np.allclose(other.image.affine, scan.image.affine, atol=1e-2):
        raise ScanError(
            path, "lies elsewhere than the scan (their affines differ)", "give one on its grid"
        )
    return other
