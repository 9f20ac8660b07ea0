"""The delay between a recording and its estimate: where they agree best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diff_audio.metrics.pair import RATE, checked_pair
from diff_audio.sound.wave import Array

__all__ = ["REACH", "Delay", "align", "delay_of", "overlap"]

REACH = RATE * 150 // 1000
"""The largest delay that is undone, samples."""

LEAST_GAIN = 1.0  # dB of SI-SDR: what is less is not worth a move
LEAST_MATCH = 0.05  # share of the energy that agrees; -13 dB: below it, any lag is chance


@dataclass(frozen=True)
class Delay:
    """A delay of `lag` samples (positive: the estimate came late).

    gain: how much it raises the SI-SDR of the overlap, dB; 0 for no delay
    """

    lag: int
    gain: float


def delay_of(reference: Array, estimate: Array, reach: int = REACH) -> Delay:
    """Return the delay, at most `reach`, at which both agree best over their overlap.

    reference, estimate: (C, T) of equal shape; the channels share one delay

    The measure is the squared correlation coefficient r^2, so that a turned polarity does not
    matter: SI-SDR = r^2 / (1 - r^2) (J. Le Roux et al., 2019). Where no delay is 1 dB better than
    none, or nothing agrees at any, the delay is 0: so none makes the SI-SDR worse.
    """
    ref = reference - reference.mean(1, keepdims=True)
    est = estimate - estimate.mean(1, keepdims=True)
    length = ref.shape[1]
    reach = min(reach, length // 2)
    lags = np.arange(-reach, reach + 1)
    size = 1 << (2 * length - 1).bit_length()
    match, sounding = np.zeros(len(lags)), 0
    for r, e in zip(ref, est, strict=True):
        if not (r.any() and e.any()):
            continue
        sounding += 1
        spectrum = np.fft.rfft(e, size) * np.conj(np.fft.rfft(r, size))
        product = np.fft.irfft(spectrum, size)[lags]
        energy = _energy(r, -lags) * _energy(e, lags)
        match += np.divide(product**2, energy, out=np.zeros(len(lags)), where=energy > 0)
    if not sounding:
        return Delay(0, 0.0)
    match = np.clip(match / sounding, 1e-12, 1 - 1e-12)
    ratio = 10 * np.log10(match / (1 - match))
    best = int(np.argmax(match))
    gain = float(ratio[best] - ratio[reach])
    if match[best] < LEAST_MATCH or gain < LEAST_GAIN:
        return Delay(0, 0.0)
    return Delay(int(lags[best]), gain)


def _energy(wave: Array, lags: NDArray[np.int64]) -> Array:
    """Return the energy of the overlap at each lag: from `lag` on, or up to `lag` before the
    end.
    """
    sums = np.concatenate(([0.0], np.cumsum(wave**2)))
    late = sums[-1] - sums[np.maximum(lags, 0)]
    early = sums[len(wave) + np.minimum(lags, 0)]
    return np.where(lags >= 0, late, early)


def overlap(reference: Array, estimate: Array, lag: int) -> tuple[Array, Array]:
    """Return what both (C, any) hold of the same time, (C, T) each, without the delay."""
    ref, est = reference[:, max(0, -lag) :], estimate[:, max(0, lag) :]
    shorter = min(ref.shape[1], est.shape[1])
    return ref[:, :shorter], est[:, :shorter]


def align(reference: ArrayLike, estimate: ArrayLike, max_lag: int = REACH) -> tuple[Array, int]:
    """Move `estimate` (T,) by the whole number of samples, at most `max_lag`, at which it agrees
    best with `reference` (T,) (`delay_of`).

    Returns the moved estimate, zero-filled to the same length, and its lag (positive: it came
    late). `overlap` leaves out what is filled.
    """
    ref, est = checked_pair(reference, estimate)
    lag = delay_of(ref[None], est[None], max_lag).lag
    moved = np.zeros_like(est)
    if lag >= 0:
        moved[: len(est) - lag] = est[lag:]
    else:
        moved[-lag:] = est[:lag]
    return moved, lag
