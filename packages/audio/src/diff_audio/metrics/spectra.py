"""The scores of spectra against the clean recording's, for mono 16 kHz arrays of equal length.

Powers under the reference's peak - 80 dB are raised to it, so that digital silence does not decide
a score. `nan` means undefined: a silent reference.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from diff_audio.metrics.pair import RATE, checked_pair, library
from diff_audio.sound.wave import Array

__all__ = ["FLOOR_DB", "HOP", "MELS", "RESOLUTIONS", "WINDOW", "lsd", "mel_psnr_ssim", "mr_stft"]

WINDOW, HOP, FLOOR_DB = 512, 128, 80.0
MELS = 80
"""The number of mel bands."""
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""Transform, hop and window in samples."""


def _power(wave: Array, size: int, hop: int, window: int) -> Array:
    """Return the power spectrogram (F, N) of whole frames, periodic Hann window, a short wave
    zero-filled.
    """
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    padded = np.pad(wave, (0, max(0, window - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.abs(np.fft.rfft(frames * hann, size, axis=-1).T) ** 2


def _decibels(reference: Array, estimate: Array) -> tuple[Array, Array] | None:
    """Return powers in dB under the reference's peak, floored; `None` for a silent reference."""
    peak = float(reference.max())
    if peak == 0.0:
        return None
    floor = 10.0 ** (-FLOOR_DB / 10.0)
    ref, est = (10.0 * np.log10(np.maximum(x / peak, floor)) for x in (reference, estimate))
    return ref, est


def lsd(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the log-spectral distance in units of log10 power (bels); 0 is equality.

    A. Gray and J. Markel, "Distance measures for speech processing", 1976: mean over frames of the
    root of the mean over frequencies of the squared difference of log10 power spectra.
    """
    waves = checked_pair(reference, estimate)
    spectra = _decibels(*(_power(wave, WINDOW, HOP, WINDOW) for wave in waves))
    if spectra is None:
        return float("nan")
    bels = (spectra[0] - spectra[1]) / 10.0
    return float(np.sqrt(np.mean(bels**2, axis=0)).mean())


def mr_stft(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the multi-resolution short-time-spectrum distance; 0 is equality.

    R. Yamamoto, E. Song and J.-M. Kim, "Parallel WaveGAN", 2020, eqs. 4 to 6: spectral convergence
    plus mean absolute difference of natural log magnitudes, averaged over `RESOLUTIONS`.
    """
    waves, total = checked_pair(reference, estimate), 0.0
    for size, hop, window in RESOLUTIONS:
        ref, est = (_power(wave, size, hop, window) for wave in waves)
        decibels = _decibels(ref, est)
        if decibels is None:
            return float("nan")
        old, new = np.sqrt(ref), np.sqrt(est)
        convergence = np.linalg.norm(old - new) / np.linalg.norm(old)
        logs = np.abs(decibels[0] - decibels[1]).mean() * np.log(10.0) / 20.0
        total += float(convergence + logs) / len(RESOLUTIONS)
    return total


@functools.cache
def _filters() -> Array:
    filters = library("librosa.filters", "diff-audio[scores]")
    return np.asarray(filters.mel(sr=RATE, n_fft=WINDOW, n_mels=MELS), np.float64)


def mel_psnr_ssim(reference: ArrayLike, estimate: ArrayLike) -> tuple[float, float]:
    """Return PSNR in dB and SSIM of the log-mel pictures (`MELS` bands to 8 kHz, Slaney), which
    span 80 dB under the reference's peak and are clipped at both ends.

    SSIM by scikit-image with its defaults (7 x 7 window); `nan` for both under seven frames.
    """
    metrics = library("skimage.metrics", "diff-audio[scores]")
    waves = checked_pair(reference, estimate)
    spectra = _decibels(*(_filters() @ _power(wave, WINDOW, HOP, WINDOW) for wave in waves))
    if spectra is None or min(spectra[0].shape) < 7:
        return float("nan"), float("nan")
    ref, est = (np.clip(picture, -FLOOR_DB, 0.0) for picture in spectra)
    error = float(np.mean((ref - est) ** 2))
    psnr = float("inf") if error == 0.0 else float(10.0 * np.log10(FLOOR_DB**2 / error))
    return psnr, float(metrics.structural_similarity(ref, est, data_range=FLOOR_DB))
