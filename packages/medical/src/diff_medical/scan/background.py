"""The values of a background that was set to one value: masked air, or a removed skull."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.intensity import Modality

__all__ = ["background_values", "is_solid", "stands_free"]

Array = NDArray[np.floating]

SHARE = 0.01  # least share of the voxels of a background
SPIKE = 3.0  # times as many voxels as have the values beside it
FREE = 0.25  # least share of zeros around a head without its skull
SOLID = 0.5  # share of the background whose neighbours are background too


def background_values(sample: Array, sigma: float, modality: Modality) -> tuple[float, ...]:
    """Return the values of a background: 0, and of MR the least value, where they stand out.

    sample: voxels of a volume, finite
    sigma:  its noise level: noise makes about as many voxels of the values within a tenth of it,
            or one step of integers, as of any value; a background has far more of its own
    """
    values = sample.reshape(-1)
    found: list[float] = []
    for value in sorted({0.0} if modality == "ct" else {0.0, float(values.min())}):
        off = np.abs(values - np.float32(value))
        others = off[off > 0]
        equal = values.size - others.size
        if equal <= SHARE * values.size or not others.size:
            continue
        beside = np.count_nonzero(others <= max(0.1 * sigma, 1.001 * float(others.min())))
        if equal > SPIKE * beside:
            found.append(value)
    return tuple(found)


def is_solid(planes: Array, values: tuple[float, ...]) -> bool:
    """Return True if a background lies in one piece, not scattered among noise as where a scan
    was clipped or cut off at a threshold.
    """
    from scipy.ndimage import minimum_filter

    empty = np.isin(planes, np.array(values, np.float32))
    size = tuple(3 if n > 1 else 1 for n in planes.shape)
    core = minimum_filter(empty.view(np.uint8), size)
    return bool(np.count_nonzero(core) > SOLID * max(1, np.count_nonzero(empty)))


def stands_free(
    read: Callable[[slice], Array], shape: tuple[int, int, int], thickness: int
) -> bool:
    """Return True for a volume whose image stands free in zeros, as a head without its skull.

    A quarter of it is 0, and so are all its faces; a whole head leaves the field of view below.

    read:      returns planes of the volume (X, Y, Z) along Z
    thickness: planes that are read at once
    """
    zeros = 0
    for first in range(0, shape[2], thickness):
        full = read(slice(first, min(first + thickness, shape[2]))) != 0
        ends = [full[[0, -1]], full[:, [0, -1]]]
        ends += [full[..., 0]] if first == 0 else []
        ends += [full[..., -1]] if first + thickness >= shape[2] else []
        if any(end.any() for end in ends):
            return False
        zeros += full.size - int(np.count_nonzero(full))
    return zeros > FREE * shape[0] * shape[1] * shape[2]
