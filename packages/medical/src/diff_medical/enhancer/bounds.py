"""Bounds on what an enhancer may do to a scan, whatever its network says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOUND",
    "BROAD",
    "BROAD_REACH",
    "LEAST_GAIN",
    "QUIET",
    "TISSUE_HU",
    "bound_broad",
    "bound_residual",
    "constant_regions",
    "nothing_to_do",
    "outside_tissue",
    "too_little",
]

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

BOUND = 3.5
"""No voxel changes by more than this many standard deviations of the noise, where noise is even:
in the scan itself for Gaussian noise and CT, in the stabilised domain for magnitudes. Gaussian
noise goes beyond it in one voxel of 2,000, and no structure stronger than it can be removed or
made up. In the units of a scan with the noise of magnitudes a voxel near 0 moves further, as its
bias is removed too (`diff_medical.noise.stabilise.Stabiliser.reach`)."""

BROAD = 5.0
"""Standard deviation in voxels of the Gaussian window over which changes are averaged."""

BROAD_REACH = 16
"""Voxels beyond which a change does not count for a broad average."""

BROAD_BOUND = 4.0
"""No average of changes over that window exceeds this many standard deviations of averaged noise:
a faint but broad structure can neither vanish nor appear."""

LEAST_GAIN = 0.2
"""dB of expected gain below which a scan is left as it is."""

QUIET = 0.003
"""Noise below this share of the bright level of a scan is left as it is."""

TISSUE_HU = (-1024.0, 3000.0)
"""Hounsfield units up to the first are padding, from beyond the second on metal: never changed."""


def nothing_to_do(low: float, high: float, sigma: float, bright: float, *, declared: bool) -> str:
    """Return why a volume stays as it is, "" if it does not.

    low, high: its least and greatest value
    sigma:     its noise level, which somebody `declared` or which was estimated
    bright:    the scale of its values, as in `diff_medical.scan.intensity`
    """
    if low == high:
        return f"all voxels are {low:g}"
    if sigma == 0:
        return "the noise level is 0"
    if not declared and sigma < QUIET * bright:
        return f"its noise is below {QUIET:.1%} of its range"
    return ""


def too_little(gain: float) -> str:
    """Return why a volume stays as it is whose expected gain, dB, is below LEAST_GAIN."""
    return f"the expected gain is {gain:.2f} dB"


def bound_residual(
    noisy: Array, estimate: Array, sigma: float | Array
) -> tuple[NDArray[np.float32], float]:
    """Return `estimate` kept within BOUND sigma of `noisy`, and the share of voxels that had to
    be.

    sigma: one number, or one a voxel
    """
    limit = np.asarray(BOUND * sigma, dtype=np.float32)
    change = estimate - noisy
    beyond = float(np.mean(np.abs(change) > limit))
    return (noisy + np.clip(change, -limit, limit)).astype(np.float32), beyond


def bound_broad(
    noisy: Array,
    estimate: Array,
    sigma: float | Array,
    axes: tuple[int, ...],
    *,
    shape: tuple[int, ...] | None = None,
    inner: tuple[slice, ...] = (),
) -> tuple[NDArray[np.float32], float]:
    """Return `estimate` with broad changes cut down to what white noise explains, and the share of
    voxels where they were.

    The average of white noise over a Gaussian window of standard deviation s along d axes has
    standard deviation sigma / (2 sqrt(pi) s)^(d/2). What goes beyond BROAD_BOUND times that is
    given back.

    axes:  along which neighbours show the same anatomy; a window is no longer than its axis
    shape: of the volume of which this is a part, with BROAD_REACH voxels more on either side
    inner: where in the part the result lies; its share is counted there
    """
    change = estimate - noisy
    widths = [min(BROAD, (shape or noisy.shape)[axis] / 4) for axis in axes]
    gain = float(np.prod([(2 * np.sqrt(np.pi) * max(w, 0.3)) ** -0.5 for w in widths]))
    level = np.asarray(sigma, dtype=np.float32)
    if level.ndim:
        level = _smooth(level, axes, widths)
    limit = np.float32(BROAD_BOUND * gain) * level
    average = _smooth(change, axes, widths)
    excess = (average - np.clip(average, -limit, limit))[inner]
    return (estimate[inner] - excess).astype(np.float32), float(np.mean(excess != 0))


def _smooth(values: Array, axes: tuple[int, ...], widths: list[float]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter1d

    for axis, width in zip(axes, widths, strict=True):
        values = gaussian_filter1d(values, width, axis=axis, mode="reflect", truncate=3.0)
    return values.astype(np.float32, copy=False)


def constant_regions(volume: Array) -> Mask:
    """Return the voxels whose whole neighbourhood (3 x 3 x 3) has one value: padding, masks,
    clipped air.
    """
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    low = high = volume
    for axis in range(volume.ndim):
        low = minimum_filter1d(low, 3, axis=axis)
        high = maximum_filter1d(high, 3, axis=axis)
    return low == high


def outside_tissue(volume: Array) -> Mask:
    """Return the voxels of a CT (HU) that are padding or metal."""
    return (volume <= TISSUE_HU[0]) | (volume > TISSUE_HU[1])
