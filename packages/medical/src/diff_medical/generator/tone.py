"""The grey levels on which the generator works: air is 0, the bright level of a scan about 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.intensity import scale

__all__ = ["BRIGHT", "BRIGHTEST", "decode", "encode"]

BRIGHT = 800.0
"""The value that a tone of 1 has in a synthetic MR scan, which has no unit."""
BRIGHTEST = 1.25
"""The highest tone."""

# Soft tissue takes half of the range of CT, so that a small error is a small one in HU as well.
_HU = (-1000.0, -500.0, -150.0, 250.0, 1500.0, 3000.0)
_TONE = (0.0, 0.2, 0.35, 0.85, 1.15, BRIGHTEST)


def encode(
    values: NDArray[np.floating], modality: str, *, bright: float | None = None
) -> NDArray[np.float32]:
    """Return tones, [0, 1.25], of scan units; of CT by a curve of straight lines, of MR in units
    of its bright level (`diff_medical.scan.intensity.scale`), or of `bright` if that is given.
    """
    if modality == "ct":
        return np.interp(values, _HU, _TONE).astype(np.float32)
    level = scale(values, "mr").scale if bright is None else bright
    return (values / level).clip(0, BRIGHTEST).astype(np.float32)


def decode(tones: NDArray[np.floating], modality: str) -> NDArray[np.float32]:
    """Return scan units of tones, [0, 1.25]: HU for CT, 0 to 1000 for MR; what is beyond is cut
    off.
    """
    tones = tones.clip(0, BRIGHTEST)
    made = np.interp(tones, _TONE, _HU) if modality == "ct" else tones * BRIGHT
    return made.astype(np.float32)
