"""The power of a volume by spatial frequency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGES", "radial_power"]

EDGES = np.linspace(0.03, 0.5, 9)
"""The edges of the bands, cycles a voxel."""


def radial_power(volume: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log10 of the mean power of a volume (X, Y, Z) in each of the 8 bands of radial
    frequency between `EDGES`; -12 for a band without a frequency.
    """
    power = np.abs(np.fft.rfftn(volume)) ** 2
    axes = [np.fft.fftfreq(n) for n in volume.shape[:2]] + [np.fft.rfftfreq(volume.shape[2])]
    squares = [np.square(axis) for axis in axes]
    radius = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
    bands = len(EDGES) - 1
    band = np.digitize(radius.ravel(), EDGES) - 1
    inside = (band >= 0) & (band < bands)
    total = np.bincount(band[inside], power.ravel()[inside], bands)
    return np.log10(total / np.bincount(band[inside], minlength=bands).clip(1) + 1e-12)
