"""A mono wave as an array, and its power."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Wave", "power", "unit"]

Wave = NDArray[np.float32]


def power(wave: Wave) -> float:
    """Return the mean square."""
    return float(np.mean(np.square(wave), dtype=np.float64))


def unit(wave: Wave) -> Wave:
    """The wave scaled to mean square 1; silence as it is."""
    mean = power(wave)
    return (wave / np.sqrt(mean)).astype(np.float32) if mean > 0 else wave
