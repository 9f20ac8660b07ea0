"""A look-ahead limiter of the true peak.

The true peak is that of the wave between its samples: four times oversampled, as in ITU-R
BS.1770-4, annex 2. The gain is the smallest that any peak within 20 ms needs, smoothed over as
much, so it never exceeds what a peak needs. It is one gain for all channels, and depends on 40 ms
to each side and the filter of the oversampling: pieces equal the whole.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from diff_audio.sound.resample import ROLLOFF, WIDTH, resample
from diff_audio.sound.wave import Array

__all__ = ["context", "limiter_gain", "true_peak"]

HOLD = 0.02  # s to each side
OVERSAMPLED = 4


def context(rate: int) -> int:
    """Return the samples on each side on which a gain depends, at `rate` Hz."""
    return 2 * _hold(rate) + math.ceil(WIDTH / ROLLOFF) + 2


def _hold(rate: int) -> int:
    return max(1, round(HOLD * rate))


def true_peak(wave: Array) -> Array:
    """Return the largest magnitude (T,) of the channels of a wave (C, T) at each sample and
    between it and its neighbours.
    """
    dense = resample(torch.from_numpy(wave), 1, OVERSAMPLED).abs().amax(0).numpy()
    peaks = np.pad(dense, (OVERSAMPLED - 1, 0))
    near = np.lib.stride_tricks.sliding_window_view(peaks, 2 * OVERSAMPLED - 1)[::OVERSAMPLED]
    inside = near.max(1)
    short = wave.shape[1] - len(inside)  # the last sample has no successor
    if short:
        tail = dense[-OVERSAMPLED * short - OVERSAMPLED + 1 :].max(initial=0.0)
        inside = np.concatenate((inside, np.full(short, tail)))
    return np.maximum(inside, np.abs(wave).max(0))


def limiter_gain(wave: Array, rate: int, ceiling: float) -> Array:
    """Return the gain (T,), at most 1, that holds the true peak of a wave (C, T) under `ceiling`,
    a magnitude greater than 0.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    if wave.shape[1] == 0:
        return np.ones(0)
    needed = ceiling / np.maximum(true_peak(wave), ceiling)
    if needed.min() == 1.0:
        return needed
    hold = _hold(rate)
    least = minimum_filter1d(needed, 2 * hold + 1, mode="nearest")
    # Two means in a row: a triangle, which has no corner in its slope as wide as `hold` each side.
    half = hold // 2
    once = uniform_filter1d(least, 2 * half + 1, mode="nearest")
    return np.minimum(uniform_filter1d(once, 2 * half + 1, mode="nearest"), 1.0)
