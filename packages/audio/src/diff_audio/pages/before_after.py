"""A picture of a recording before and after denoising: waveforms and spectrograms side by side."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from diff_audio.sound.read import probe, read_start
from diff_audio.sound.wave import Array
from diff_core.files import replacing

__all__ = ["before_after", "draw", "power"]

COLUMNS = 1000
"""Points in time that are drawn, at most: more would not be seen, and the work stays bounded."""

WINDOW_SECONDS = 0.032
RANGE_DB = 80.0


def before_after(
    noisy: ArrayLike, denoised: ArrayLike, rate: int, path: str | os.PathLike[str]
) -> None:
    """Draw both recordings on common scales into `path` (PNG, PDF or SVG by its suffix).

    `noisy` and `denoised` are (T,) or (T, channels) of equal length, full scale 1, at `rate` Hz;
    channels are averaged. Levels are in dB under the loudest point of `noisy`. Of a long recording
    at most `COLUMNS` windows, spread evenly, are transformed.

    Raises `ValueError` for shapes that differ or are empty, and for a `rate` that is not positive.
    """
    # Not pyplot: it keeps global state and may look for a screen.
    from matplotlib.figure import Figure

    waves = _mono(noisy, "noisy"), _mono(denoised, "denoised")
    if waves[0].shape != waves[1].shape:
        lengths = f"{len(waves[0])} and {len(waves[1])}"
        raise ValueError(f"noisy and denoised must be of equal length, got {lengths} samples")
    if rate <= 0:
        raise ValueError(f"rate must be positive, in Hz, got {rate}")

    seconds = len(waves[0]) / rate
    spectra = [power(wave, rate) for wave in waves]
    loudest = max(float(spectra[0].max()), np.finfo(np.float64).tiny)
    limit = 1.05 * max(1e-6, *(float(np.abs(wave).max()) for wave in waves))

    figure = Figure(figsize=(11.0, 5.2), dpi=120, layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(1.0, 2.4))
    titles = ("Before", "After")
    for (top, bottom), title, wave, shown in zip(axes.T, titles, waves, spectra, strict=True):
        low, high = _envelope(wave)
        time = np.linspace(0.0, seconds, len(low))
        top.fill_between(time, low, high, color="#31688e", linewidth=0.4)
        top.set(title=title, xlim=(0.0, seconds), ylim=(-limit, limit))
        decibels = 10.0 * np.log10(np.maximum(shown / loudest, 10.0 ** (-RANGE_DB / 10.0)))
        bottom.imshow(
            decibels,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            extent=(0.0, seconds, 0.0, rate / 2000.0),
            vmin=-RANGE_DB,
            vmax=0.0,
        )
        bottom.set_xlabel("Time (s)")
    axes[0, 0].set_ylabel("Amplitude")
    axes[1, 0].set_ylabel("Frequency (kHz)")
    figure.colorbar(axes[1, 1].images[0], ax=axes[1, :], label="Level (dB)", pad=0.01)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _mono(wave: ArrayLike, name: str) -> Array:
    array = np.asarray(wave, np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        shape = "(T,) or (T, channels) and not empty"
        raise ValueError(f"{name} must be {shape}, got shape {array.shape}")
    return array if array.ndim == 1 else array.mean(axis=1)


def power(wave: Array, rate: int) -> Array:
    """Return the power spectrogram (F, N) of (T,), Hann windows of about `WINDOW_SECONDS`, N at
    most `COLUMNS`.
    """
    size = 2 ** max(4, round(np.log2(WINDOW_SECONDS * rate)))
    starts = np.linspace(0, len(wave) - 1, min(COLUMNS, 1 + 4 * len(wave) // size)).astype(int)
    padded = np.pad(wave, size // 2)
    frames = np.stack([padded[start : start + size] for start in starts])
    return np.abs(np.fft.rfft(frames * np.hanning(size), axis=1).T) ** 2


def _envelope(wave: Array) -> tuple[Array, Array]:
    """Return the smallest and largest value of `wave` in each of at most 2 x `COLUMNS` equal
    pieces.
    """
    edges = np.linspace(0, len(wave), min(2 * COLUMNS, len(wave)) + 1).astype(int)[:-1]
    return np.minimum.reduceat(wave, edges), np.maximum.reduceat(wave, edges)


def draw(before: Path, after: Path, picture: Path) -> None:
    """Draw waveforms and spectrograms of the first two minutes of both files (`before_after`)."""
    rate = probe(before).rate
    waves = [
        np.nan_to_num(read_start(path, 120 * rate), posinf=0.0, neginf=0.0).mean(axis=0)
        for path in (before, after)
    ]
    length = len(waves[0])  # an M4A may have silence behind it
    before_after(waves[0], waves[1][:length], rate, picture)
