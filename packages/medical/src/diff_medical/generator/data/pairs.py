"""A second scan or a label map beside each scan, found by its file name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_medical.data.reading import Loaded, Reading, load_scan
from diff_medical.data.studies import Row
from diff_medical.generator.tone import encode
from diff_medical.scan.kinds import SCANS

__all__ = ["Pairing", "read_extra"]


@dataclass(frozen=True)
class Pairing:
    """Condition channels for translation and for label-to-image models.

    suffix: `scan_SUFFIX.nii.gz` lies beside `scan.nii.gz`, on the same grid; "" for none
    labels: of a label map with values 1 to `labels`, one channel each; 0 for a scan, one channel

    Raises ValueError for labels below 0, or labels without a suffix.
    """

    suffix: str = ""
    labels: int = 0

    def __post_init__(self) -> None:
        if self.labels < 0 or (self.labels and not self.suffix):
            raise ValueError(f"labels is {self.labels}; expected 0, or more beside a suffix")

    @property
    def channels(self) -> int:
        return (self.labels or 1) if self.suffix else 0

    def is_extra(self, path: Path) -> bool:
        """Return True for a file that is the second of a pair."""
        return bool(self.suffix) and SCANS.split(path.name)[0].endswith(f"_{self.suffix}")

    def encode(self, values: NDArray[np.floating], modality: str = "mr") -> NDArray[np.float32]:
        """(X, Y, ...) of a label map or scan as channels (C, X, Y, ...)."""
        if self.labels:
            known = np.arange(1, self.labels + 1).reshape(-1, *(1,) * values.ndim)
            return (np.rint(values)[None] == known).astype(np.float32)
        return encode(values, modality)[None]


def read_extra(row: Row, loaded: Loaded, pairing: Pairing) -> NDArray[np.float32]:
    """(C, X, Y, Z) of what belongs to a scan, in RAS order; C = 0 without pairing.

    Raises ValueError if it is missing or on another grid.
    """
    if not pairing.suffix:
        return np.zeros((0, *loaded.values.shape), np.float32)
    stem, ending = SCANS.split(row.path.name)
    path = row.path.with_name(f"{stem}_{pairing.suffix}{ending}")
    if not path.is_file():
        raise ValueError(f"has no {path.name} beside it")
    other = load_scan(path, 0, Reading("zero", "RAS"))
    same = other.values.shape == loaded.values.shape and np.allclose(
        np.asarray(other.affine), np.asarray(loaded.affine), atol=1e-2
    )
    if not same:
        raise ValueError(
            f"{path.name} has another grid: {other.values.shape} at {other.spacing} mm, "
            f"expected {loaded.values.shape} at {loaded.spacing} mm in the same place"
        )
    return pairing.encode(other.values)
