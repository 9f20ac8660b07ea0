"""Blobs in what was removed: places where a small structure may have gone with the noise.

What is removed of white noise is white, so its average over a small window has a known spread. An
average far beyond it is not noise (the matched filter: G. Turin, "An introduction to matched
filters", IRE Transactions on Information Theory 1960).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "Blob", "find_blobs"]

Array = NDArray[np.floating]

WIDTHS = {3: 0.8, 5: 1.4, 7: 2.0}
"""Width of a blob, and the standard deviation of the Gaussian window that looks for it, voxels."""

CERTAIN = 5.5  # standard deviations of the average; noise goes beyond in one voxel of 26 million
MOST = 50
"""The most blobs that are listed, the surest first."""
MAD_TO_SD = 1 / 0.6744897501960817


@dataclass(frozen=True)
class Blob:
    """A place where what was removed is not noise.

    place: its middle, voxel (x, y, z) from 0
    width: about, in voxels: 3, 5 or 7
    sign:  1 where what was removed is brighter than around, -1 where it is darker
    score: the average there, in standard deviations of such averages
    """

    place: tuple[int, int, int]
    width: int
    sign: int
    score: float


def find_blobs(
    residual: Array, inside: NDArray[np.bool_], axes: tuple[int, ...], first: int = 0
) -> tuple[int, tuple[Blob, ...]]:
    """Return the number of blobs in a residual, input - output in units of the noise, (X, Y, Z),
    and the MOST surest of them.

    inside: voxels that were changed
    axes:   along which neighbours show the same anatomy; a window has no extent along others
    first:  the plane of the volume that the residual begins with
    """
    from scipy.ndimage import gaussian_filter, maximum_filter

    if inside.sum() < 512:
        return 0, ()
    best = np.zeros(residual.shape, np.float32)
    widths = np.zeros(residual.shape, np.uint8)
    values = np.where(inside, residual, 0).astype(np.float32)
    for width, sd in WIDTHS.items():
        window = [sd if axis in axes else 0 for axis in range(3)]
        average = gaussian_filter(values, window, mode="constant")
        spread = float(np.median(np.abs(average[inside]))) * MAD_TO_SD
        score = average / np.float32(max(spread, 1e-12))
        larger = np.abs(score) > np.abs(best)
        best[larger], widths[larger] = score[larger], width
    size = tuple(7 if axis in axes else 1 for axis in range(3))
    strength = np.abs(best)
    peaks = inside & (strength >= CERTAIN) & (strength == maximum_filter(strength, size))
    places = np.argwhere(peaks)
    order = np.argsort(-strength[peaks], kind="stable")[:MOST]
    found = tuple(
        Blob(
            (int(x), int(y), int(z) + first), int(widths[x, y, z]),
            1 if best[x, y, z] > 0 else -1, round(float(strength[x, y, z]), 2),
        )
        for x, y, z in places[order]
    )  # fmt: skip
    return len(places), found
