"""The intensity scale on which networks see a scan: the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CT_AIR",
    "WINDOWS",
    "Modality",
    "Scale",
    "Window",
    "is_ct",
    "recognise",
    "scale",
    "step_of",
]

Modality = Literal["mr", "ct"]

CT_AIR = -500.0  # HU, below which there is only air
CT_OFFSET = -1000.0  # HU of air
CT_SCALE = 1500.0  # water at 2/3, most bone below 1.7


class Scale(NamedTuple):
    """normalised = (scan - offset) / scale."""

    offset: float
    scale: float

    def normalise(self, volume: NDArray[np.floating]) -> NDArray[np.float32]:
        return ((volume - self.offset) / self.scale).astype(np.float32)

    def restore(self, volume: NDArray[np.floating]) -> NDArray[np.float32]:
        return (volume * self.scale + self.offset).astype(np.float32)


def recognise(volume: NDArray[np.floating]) -> Modality:
    """CT if the values reach well below zero as Hounsfield units of air do, else MR."""
    return "ct" if is_ct(float(np.min(volume)), float(np.mean(volume < CT_AIR))) else "mr"


def is_ct(low: float, below: float) -> bool:
    """Return True for a volume that is CT by its least value and the share of voxels below
    CT_AIR.
    """
    return low < CT_AIR and below > 0.01


def scale(volume: NDArray[np.floating], modality: Modality) -> Scale:
    """Offset and scale of a volume of any shape, finite values.

    CT has a unit of its own: -1000 HU becomes 0, +500 HU becomes 1. MR has none: zero stays zero
    and the 99.5th percentile of the foreground (all above a tenth of the 99th percentile of the
    absolute values) becomes 1. A volume of zeros has scale 1.

    Raises ValueError for an empty volume.
    """
    if volume.size == 0:
        raise ValueError(f"volume is empty, shape {volume.shape}; expected at least one voxel")
    if modality == "ct":
        return Scale(CT_OFFSET, CT_SCALE)
    values = np.abs(volume.flat[:: step_of(volume.size)])
    foreground = values[values > 0.1 * np.percentile(values, 99)]
    bright = float(np.percentile(foreground, 99.5)) if foreground.size else float(values.max())
    return Scale(0.0, bright if bright > 0 else 1.0)


def step_of(size: int) -> int:
    """Return the step in C order between the voxels that the scale is taken from, for a volume of
    that many voxels.
    """
    return max(1, size // 4_000_000)


@dataclass(frozen=True)
class Window:
    """Hounsfield units from `centre` - `width` / 2, black, to `centre` + `width` / 2, white."""

    centre: float
    width: float

    def __call__(self, hounsfield: NDArray[np.floating]) -> NDArray[np.float32]:
        """[0, 1] as it is seen; same shape."""
        low = self.centre - self.width / 2
        return ((hounsfield - low) / self.width).clip(0, 1).astype(np.float32)


WINDOWS = {
    "chest": Window(-600, 1500),
    "abdomen": Window(50, 400),
    "head": Window(40, 80),
}
"""Those of LDCT-Bench (E. Eulig, B. Ommer and M. Kachelriess, "Benchmarking deep learning-based
low-dose CT image denoising algorithms", Med Phys 2024)."""
