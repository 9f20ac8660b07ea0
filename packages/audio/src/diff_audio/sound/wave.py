"""The arrays that hold sound, and the power of a wave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Wave", "power", "unit"]

Array = NDArray[np.float64]
"""Samples in double precision, full scale 1, most often (C, T): what files and models exchange."""

Wave = NDArray[np.float32]
"""A mono wave (T,), full scale 1: what training items are made of."""


def power(wave: Wave) -> float:
    """Return the mean square."""
    return float(np.mean(np.square(wave), dtype=np.float64))


def unit(wave: Wave) -> Wave:
    """The wave scaled to mean square 1; silence as it is."""
    mean = power(wave)
    return (wave / np.sqrt(mean)).astype(np.float32) if mean > 0 else wave
