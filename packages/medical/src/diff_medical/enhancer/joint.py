"""The estimate of a volume from all volumes of its series, which takes the place of the network or
goes before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_medical.noise.model import Noise
from diff_medical.noise.stabilise import stabiliser

__all__ = ["FOLLOW", "Joint", "evened"]

Array = NDArray[np.float32]

FOLLOW = 0.8
"""Of the level of the noise that a low rank leaves: the level that the network is given, because
overlapping patches leave a little less, and less evenly."""


@dataclass(frozen=True)
class Joint:
    """An estimate whose planes along Z are read.

    values:  float32 (X, Y, n), in units of the noise (`evened`)
    left:    the same of the share of the noise's variance that is left
    level:   the standard deviation of the noise that is left, in the same units, for the network
             that follows; None where none does
    """

    values: Callable[[slice], Array]
    left: Callable[[slice], Array]
    level: float | None


def evened(values: Array, noise: Noise, level: float | Array) -> Array:
    """Return values whose noise has a standard deviation of 1, float32; of magnitudes by their
    transform, in which darkness is 0.

    level: the noise level, one number or one a voxel
    """
    if not noise.is_magnitude:
        return np.asarray(values / np.float32(level), np.float32)
    table = stabiliser(noise.coils)
    return table.forward(np.maximum(values, 0), level) - np.float32(table.expected[0])
