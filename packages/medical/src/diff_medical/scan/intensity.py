"""The intensity scale on which networks see a scan: the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CT_AIR",
    "LARGEST",
    "WINDOWS",
    "Modality",
    "Scale",
    "Window",
    "recognise",
    "scale",
    "step_of",
]

Modality = Literal["mr", "ct"]
"""The kind of scan."""

LARGEST = 1e15
"""The largest magnitude of a voxel: 32-bit numbers hold sums of squares up to there."""

CT_AIR = -500.0
"""The value below which there is only air, HU."""
AIR = (-1200.0, -900.0)  # HU of air with its noise
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
    """Return "ct" for values whose histogram has the air of CT, else "mr".

    Air is a peak near -1000 HU. Below it there is nothing but padding, which has one value, and
    the values between air and fat (lungs) are not many times as many. Values that are only
    negative, as in phase, velocities, field maps and differences, have no such peak.
    """
    values = volume.reshape(-1)[:: step_of(volume.size)]
    if not np.min(values) < CT_AIR:
        return "mr"
    low = float(values.min())
    deep = values[(values < AIR[0]) & (values != low)].size
    air = np.count_nonzero((values >= AIR[0]) & (values <= AIR[1]))
    between = np.count_nonzero((values > AIR[1]) & (values < CT_AIR))
    is_peak = air > 0.01 * values.size and deep < 0.05 * air and between < 3 * air
    return "ct" if is_peak else "mr"


def scale(volume: NDArray[np.floating], modality: Modality) -> Scale:
    """Return the offset and scale of a volume of any shape, finite values.

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
