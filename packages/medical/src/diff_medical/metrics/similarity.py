"""The maps of which structural similarity is the mean, right for values of any offset.

Z. Wang, A. Bovik, H. Sheikh and E. Simoncelli, "Image quality assessment: from error visibility to
structural similarity", 2004, eqs. 6 and 13; the window is Gaussian, of sd 1.5 voxels, 11 wide.

E[x^2] - E[x]^2 loses all digits where the mean is far above the deviation. Variances do not depend
on an offset, so they are computed without it, and so is the difference of the means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGE", "inner", "similarity"]

Array = NDArray[np.floating]

EDGE = 5
"""The voxels of the window on either side of its middle."""
SIGMA = 1.5
K_1, K_2 = 0.01, 0.03


def similarity(
    reference: Array, estimate: Array, data_range: float, axes: Sequence[int]
) -> tuple[Array, Array]:
    """Return the maps of the luminance, and of contrast and structure, of two arrays of one shape;
    their product is SSIM. Windows lie along `axes` and are mirrored at the ends.
    """
    from scipy.ndimage import gaussian_filter1d

    def local(values: Array) -> Array:
        for axis in axes:
            values = gaussian_filter1d(values, SIGMA, axis=axis, mode="reflect", radius=EDGE)
        return values

    offset = float(np.mean(reference, dtype=np.float64))
    x, y = (np.asarray(v, np.float64) - offset for v in (reference, estimate))
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = (
        np.maximum(local(np.square(v)) - np.square(m), 0) for v, m in ((x, mean_x), (y, mean_y))
    )
    both = local(x * y) - mean_x * mean_y
    c_1, c_2 = (K_1 * data_range) ** 2, (K_2 * data_range) ** 2
    power = np.square(mean_x + offset) + np.square(mean_y + offset)
    luminance = 1 - np.square(mean_x - mean_y) / (power + c_1)
    return luminance, (2 * both + c_2) / (var_x + var_y + c_2)


def inner(values: Array, axes: Sequence[int]) -> Array:
    """Return the part of a map whose windows lie within the image."""
    cut = [slice(None)] * values.ndim
    for axis in axes:
        cut[axis] = slice(EDGE, values.shape[axis] - EDGE)
    return values[tuple(cut)]
