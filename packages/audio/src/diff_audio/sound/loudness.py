"""The loudness of a recording, its true peak, and the gain that brings it to a wanted loudness.

Loudness is that of ITU-R BS.1770-4: K-weighted blocks of 400 ms, three quarters overlapped, with a
gate at -70 LUFS and another 10 LU under the mean of what passed it. Every 100 ms of sound becomes
one number, so recordings of any length are measured in bounded memory. The true peak is the
largest sample after fourfold oversampling (annex 2 there).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOUDNESS", "TRUE_PEAK", "Loudness", "gain_db", "limit", "loudness", "true_peak_db"]

LOUDNESS = -19.0
"""Loudness of spoken word in one channel, LUFS."""

TRUE_PEAK = -1.0
"""Largest true peak, dBTP."""

Array = NDArray[np.floating[Any]]

_OVERSAMPLING = 4
_REACH = 0.005  # seconds before and after a peak in which the limiter turns down
_ABSOLUTE, _RELATIVE, _OFFSET = -70.0, -10.0, -0.691
_STEPS = 4  # steps of 100 ms in a block
_SURROUND = 1.41
_MARGIN = 0.02  # dB that the limiter leaves, for what lies between four samples


class Loudness:
    """A meter of integrated loudness: `add` samples, then read `lufs`.

    rate:     in Hz
    channels: one to five; the fourth and the fifth are surround channels
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        """Raise ValueError for a rate under 1 Hz or another number of channels."""
        from pyloudnorm.iirfilter import IIRfilter

        if rate < 1 or not 1 <= channels <= 5:
            raise ValueError(f"rate {rate} Hz with {channels} channels: expected 1 to 5 channels")
        # K-weighting by the analogue prototypes behind the standard's table for 48 kHz
        shelf = IIRfilter(
            3.99984385397, 0.7071752369554193, 1681.9744509555319, rate, "high_shelf_DeMan"
        )
        high_pass = IIRfilter(0.0, 0.5003270373253953, 38.13547087613982, rate, "high_pass_DeMan")
        self._stages = [(f.passband_gain * f.b / f.a[0], f.a / f.a[0]) for f in (shelf, high_pass)]
        self._states = [np.zeros((channels, len(b) - 1)) for b, _ in self._stages]
        self._rate, self._channels = rate, channels
        self._weights = np.array([1.0, 1.0, 1.0, _SURROUND, _SURROUND])[:channels]
        self._rest = np.zeros(0)
        self._steps: list[float] = []
        self._samples = 0

    def add(self, samples: Array) -> None:
        """Add samples (C, n), or (n,) of one channel, full scale 1, to what was added before."""
        from scipy.signal import lfilter

        wave: Any = np.atleast_2d(np.asarray(samples, np.float64))
        if wave.shape[0] != self._channels:
            raise ValueError(f"samples have {wave.shape[0]} channels; expected {self._channels}")
        for index, (b, a) in enumerate(self._stages):
            wave, self._states[index] = lfilter(b, a, wave, zi=self._states[index])
        power = np.concatenate([self._rest, self._weights @ np.square(wave)])
        self._samples += wave.shape[1]
        begin = 0
        while (end := self._edge(len(self._steps) + 1) - self._edge(len(self._steps))) <= len(
            power
        ) - begin:
            self._steps.append(float(power[begin : begin + end].sum()))
            begin += end
        self._rest = power[begin:]

    def _edge(self, step: int) -> int:
        """Return the sample at which a step of 100 ms begins."""
        return step * self._rate // 10

    @property
    def lufs(self) -> float:
        """Return the integrated loudness; -inf for silence. Less than 400 ms is one block."""
        steps = np.array(self._steps)
        if len(steps) >= _STEPS:
            sums = np.convolve(steps, np.ones(_STEPS), "valid")
            power = sums / (_STEPS * self._rate / 10)
        else:
            power = np.array([(steps.sum() + self._rest.sum()) / max(self._samples, 1)])
        for gate in (_ABSOLUTE, None):
            least = _decibels(power.mean()) + _RELATIVE if gate is None else gate
            power = power[_decibels(power) > least]
            if not len(power):
                return -math.inf
        return float(_decibels(power.mean()))


def _decibels(power: Any) -> Any:
    return _OFFSET + 10 * np.log10(np.maximum(power, 1e-30))


def gain_db(lufs: float, wanted: float = LOUDNESS) -> float:
    """Return the gain, dB, that brings `lufs` to `wanted` LUFS; 0 for silence."""
    return wanted - lufs if math.isfinite(lufs) else 0.0


def true_peak_db(samples: Array) -> float:
    """Return the true peak of samples (..., n), dBTP; -inf for silence."""
    peak = float(_envelope(samples).max(initial=0.0))
    return 20 * math.log10(peak) if peak else -math.inf


def _envelope(samples: Array) -> Array:
    """Return for each of n samples the largest of all channels, oversampled, around it: (n,)."""
    from scipy.signal import resample_poly

    wave = np.asarray(samples, np.float64).reshape(-1, np.shape(samples)[-1])
    if not wave.shape[1]:
        return np.zeros(0)
    dense = np.abs(resample_poly(wave, _OVERSAMPLING, 1, axis=1)).max(0)
    return np.maximum(dense.reshape(-1, _OVERSAMPLING).max(1), np.abs(wave).max(0))


def limit(samples: Array, rate: int, peak: float = TRUE_PEAK) -> Array:
    """Return samples (..., n) whose true peak is at most `peak` dBTP.

    Around a sample that lies above it, all channels are turned down alike, smoothly over 5 ms
    before and after. What lies below is returned as it is. Raises ValueError for a `peak` over 0.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    if peak > 0:
        raise ValueError(f"peak is {peak} dBTP; expected at most 0")
    for _ in range(3):  # a gain that moves makes new values between samples
        if true_peak_db(samples) <= peak:
            break
        ceiling = 10 ** ((peak - _MARGIN) / 20)
        wanted = np.minimum(1.0, ceiling / np.maximum(_envelope(samples), ceiling))
        half = max(1, round(_REACH * rate / 2))
        low = minimum_filter1d(wanted, 4 * half + 1, mode="nearest")
        for _ in range(2):  # two means make a triangle of the width of the minimum
            low = uniform_filter1d(low, 2 * half + 1, mode="nearest")
        samples = (samples * np.minimum(low, 1.0)).astype(np.asarray(samples).dtype)
    return samples


def loudness(samples: Array, rate: int) -> float:
    """Return the integrated loudness of samples (C, n) or (n,), LUFS; -inf for silence."""
    meter = Loudness(rate, channels=len(np.atleast_2d(samples)))
    meter.add(samples)
    return meter.lufs
