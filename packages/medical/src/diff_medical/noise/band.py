"""The band of spatial frequencies in which a scan was measured.

Scanners fill the outer k-space with zeros to make more pixels than they measured, and so does any
interpolation by sinc functions. The noise of such a scan is correlated, and second differences of
neighbours hardly see it. The power of the scan by frequency along an axis then falls to nearly
nothing at the edge of the band (M. Bernstein, S. Fain and S. Riederer, "Effect of windowing and
zero-filled reconstruction of MRI data on spatial resolution and acquisition strategy", JMRI 2001).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["EMPTY", "cropped", "filled", "measured"]

Array = NDArray[np.floating]

EMPTY = 1 / 8
"""The power beyond the edge of the band over that within it, at most."""

LARGEST = 0.9  # share of the frequencies that were measured, from which on nothing is gained
SMALLEST = 0.3  # below it a scan is blurred, not filled
FEWEST = 32  # samples along an axis
EVEN = 3.0  # the most that power varies by below the edge; that of blurred noise varies more
DARK = 0.3  # of the range of a scan


def measured(volume: Array, axes: Sequence[int]) -> tuple[int, int, int]:
    """Return how many samples of a volume (X, Y, Z) were measured along each axis: all of them
    along axes that are not among `axes`, are short, or have no edge in their spectrum.

    Noise has even power up to the edge of the band. So the edge is where the power of the
    frequencies next below it is at least 8 times that of those next above, and falls at once.
    """
    counts = list(volume.shape)
    for axis in axes:
        if volume.shape[axis] >= FEWEST:
            counts[axis] = _along(volume, axis)
    return counts[0], counts[1], counts[2]


def cropped(volume: Array, counts: Sequence[int]) -> NDArray[np.float32]:
    """Return a volume on the grid of `counts` samples that spans the same space, without the
    frequencies beyond; its values keep their units, and white noise in the band its level.
    """
    return _resampled(volume, counts)


def filled(volume: Array, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return a volume on the finer grid of `shape`, its further frequencies 0: what `cropped`
    leaves out apart, its inverse.
    """
    return _resampled(volume, shape)


def _along(volume: Array, axis: int) -> int:
    """Return how many samples were measured along one axis."""
    count = volume.shape[axis]
    power = _power(volume, axis)
    half = len(power) - 1
    span = max(3, half // 16)
    best, edge = EMPTY, count
    for cut in range(int(SMALLEST * half), int(LARGEST * half) + 1):
        within, beyond = power[cut - span : cut], power[cut + 2 : cut + 2 + span]
        outer = power[cut + 2 :]
        fall = float(np.median(beyond) / max(np.median(within), 1e-30))
        at_once = power[cut - 1] > power[cut + 2] / EMPTY and within.max() < EVEN * within.min()
        if fall < best and at_once and float(np.median(outer)) <= 2 * float(np.median(beyond)):
            best, edge = fall, 2 * cut
    return edge


def _power(volume: Array, axis: int) -> Array:
    """Return the mean power of a volume by frequency along an axis, 0 to Nyquist.

    Darkness counts as even: magnitudes of noise alone have twice the band of the noise.
    """
    values = np.asarray(volume, np.float32)
    low, high = np.quantile(values[::2, ::2], [0.01, 0.99])
    values = np.maximum(values, low + np.float32(DARK) * (high - low))
    spectrum = np.abs(np.fft.rfft(values * _window(values.shape[axis], axis), axis=axis))
    return np.square(spectrum).mean(axis=tuple(a for a in range(3) if a != axis))


def _window(count: int, axis: int) -> NDArray[np.float32]:
    """Return weights along an axis that end at 0, so that opposite ends that differ count for no
    high frequencies; a Hann window spreads a frequency over its neighbours alone.
    """
    weights = np.hanning(count + 2)[1:-1].astype(np.float32)
    return weights.reshape([-1 if a == axis else 1 for a in range(3)])


def _resampled(volume: Array, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return a volume with other numbers of samples, by its frequencies."""
    from scipy.signal import resample

    made: NDArray[np.float32] = np.asarray(volume, np.float32)
    for axis, count in enumerate(shape):
        if count != made.shape[axis]:
            made = np.asarray(resample(made, count, axis=axis), np.float32)
    return made
