"""Rumble: what lies below all speech, such as wind, steps, traffic and a direct current.

The high-pass is x minus its part below about 50 Hz, by a symmetric filter (Kaiser's window, 60
dB): from 75 Hz on, where the lowest voices begin, nothing changes, and below 30 Hz nothing stays.
The level is always measured behind it. The sound itself loses that part only where it is strong
beside speech, because weak rumble does not disturb the network.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diff_audio.sound.resample import CORE_RATE
from diff_audio.sound.wave import Array

__all__ = ["FILTER_REACH", "REACH", "highpass", "without_rumble"]

FILTER_REACH = 640
"""Samples at 16 kHz to either side on which `highpass` depends: 40 ms."""

_NEAR = 960  # to either side over which the rumble's power is taken: 60 ms

REACH = FILTER_REACH + _NEAR
"""Samples at 16 kHz to either side on which `without_rumble` depends: 0.1 s."""

EDGE_HZ, KAISER = 52.5, 5.65
# The power of the rumble, dB of full scale, from which on it is taken away, and from which on all
# of it; the level of speech is -26.
WEAK_DB, STRONG_DB = -38.0, -32.0
_LEAST = 1e-9  # of what is taken away: less is the rounding of the filter
_SILENT = 511  # samples of zero in a row that are digital silence, and stay so


def highpass(wave: Tensor) -> Tensor:
    """Return 16 kHz waves (C, T) without what lies below about 50 Hz, in the dtype of `wave`."""
    samples = wave.double().numpy()
    low = _low(samples)
    voice = samples - low
    voice[np.abs(voice) < _LEAST * np.abs(low)] = 0.0
    return torch.from_numpy(voice).to(wave.dtype)


def without_rumble(wave: Tensor) -> Tensor:
    """Return 16 kHz waves (C, T), at the network's level, without their rumble where it is
    strong: otherwise as they are.
    """
    from scipy.ndimage import uniform_filter1d

    if wave.shape[-1] < 2 * FILTER_REACH:  # too short to tell rumble from speech
        return wave
    samples = wave.double().numpy()
    low = _low(samples)
    power = uniform_filter1d(np.square(low), 2 * _NEAR + 1, axis=-1, mode="reflect")
    decibels = 10.0 * np.log10(np.maximum(power, 1e-20))
    share = np.clip((decibels - WEAK_DB) / (STRONG_DB - WEAK_DB), 0.0, 1.0)
    if not share.any():
        return wave
    return torch.from_numpy(samples - share * low).to(wave.dtype)


def _low(samples: Array) -> Array:
    """Return the part (C, T) below about 50 Hz; 0 in digital silence."""
    from scipy.ndimage import maximum_filter1d
    from scipy.signal import oaconvolve

    if samples.shape[-1] == 0:
        return samples
    # At the ends, the mean with the weights that lie inside: a step there would be no rumble.
    both = np.concatenate((samples, np.ones((1, samples.shape[-1]))))
    padded = np.pad(both, ((0, 0), (FILTER_REACH, FILTER_REACH)))
    sums: Array = oaconvolve(padded, _kernel()[None], mode="valid", axes=-1)
    low = sums[:-1] / np.maximum(sums[-1:], 0.25)
    middle = maximum_filter1d(np.abs(samples), _SILENT, axis=-1, mode="nearest") == 0.0
    silent = np.asarray(maximum_filter1d(middle, _SILENT, axis=-1, mode="nearest"), bool)
    return low * ~silent


@cache
def _kernel() -> Array:
    from scipy.signal import firwin

    window: Any = ("kaiser", KAISER)  # the stubs take a name alone
    taps: Any = firwin(2 * FILTER_REACH + 1, EDGE_HZ, window=window, fs=CORE_RATE)
    return taps
