"""The texture of CT noise: its power spectrum in soft tissue, and noise that is made to have it.

What a kernel does to noise is what it does to fine detail, so simulated noise is that of a lower
dose of a scan only if it has the spectrum of the scan's own. J. Siewerdsen, I. Cunningham and D.
Jaffray, "A framework for noise-power spectrum analysis of multidimensional images", Medical
Physics 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["flat_places", "noise_spectrum", "shaped_like"]

Array = NDArray[np.floating]

SIDE = 32  # pixels of a region
EVERY = 8  # pixels between regions
TISSUE = (-150.0, 250.0)  # HU, as of `diff_medical.noise.ct`
FLATTEST = 0.25  # share of the regions in soft tissue that is used
BINS = 24  # of the frequency, 0 to the corner
FLOOR = 1e-4  # of the highest power: below it a texture has nothing to be shaped


def flat_places(planes: Array) -> NDArray[np.intp]:
    """(N, 3) first pixels of the regions of axial slices (S, X, Y), HU, that are soft tissue and
    nothing else; the quarter of them that varies least.

    Raises ValueError where there are none.
    """
    regions = sliding_window_view(planes, (SIDE, SIDE), (1, 2))[:, ::EVERY, ::EVERY]
    halves = regions.reshape(*regions.shape[:3], 4, SIDE // 4, 4, SIDE // 4).mean((4, 6))
    inside = ((halves > TISSUE[0]) & (halves < TISSUE[1])).all((3, 4))
    places = np.argwhere(inside)
    if not len(places):
        raise ValueError(f"planes have no {SIDE} x {SIDE} pixels of soft tissue; expected some")
    spread = np.array([_detrended(regions[tuple(place)]).std() for place in places])
    chosen = places[np.argsort(spread)[: max(1, round(FLATTEST * len(places)))]]
    return chosen * np.array([1, EVERY, EVERY])


def noise_spectrum(planes: Array, places: NDArray[np.intp]) -> NDArray[np.float64]:
    """(BINS,) noise power, HU^2, by frequency, over the regions of slices (S, X, Y) that begin at
    `places`; white noise of variance v has v at all of them.

    Bins are equally wide, from 0 to the corner of the frequencies, 0.707 / pixel.
    """
    parts = np.stack([planes[s, x : x + SIDE, y : y + SIDE] for s, x, y in places])
    power = np.abs(np.fft.fft2(np.stack([_detrended(part) for part in parts]))) ** 2
    number = _bin(SIDE, SIDE)
    counts = np.bincount(number.ravel(), minlength=BINS)
    found = np.bincount(number.ravel(), power.mean(0).ravel() / SIDE**2, BINS)
    known = counts > 0
    return np.interp(np.arange(BINS), np.flatnonzero(known), (found[known] / counts[known]))


def shaped_like(planes: Array, texture: Array) -> NDArray[np.float32]:
    """Noise (S, X, Y) with the spectrum, and the level, that the slices `planes` (S, X, Y), HU,
    have in soft tissue, made of another `texture` of noise, which stays as uneven as it is.

    Raises ValueError for slices without soft tissue.
    """
    places = flat_places(planes)
    wanted, had = noise_spectrum(planes, places), noise_spectrum(texture, places)
    gain = np.sqrt(wanted / np.maximum(had, FLOOR * had.max()))
    fine = np.interp(_frequency(*texture.shape[1:]), (np.arange(BINS) + 0.5) * _WIDTH, gain)
    return np.fft.ifft2(np.fft.fft2(texture) * fine).real.astype(np.float32)


_WIDTH = np.sqrt(0.5) / BINS


def _frequency(height: int, width: int) -> NDArray[np.float64]:
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))


def _bin(height: int, width: int) -> NDArray[np.intp]:
    return np.minimum(_frequency(height, width) / _WIDTH, BINS - 1).astype(np.intp)


def _detrended(region: Array) -> NDArray[np.float64]:
    """Without the second-order surface that fits it best: that is anatomy."""
    axis = np.linspace(-1, 1, SIDE)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    surface = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], -1).reshape(-1, 6)
    values = np.asarray(region, np.float64).ravel()
    fit = np.linalg.lstsq(surface, values, rcond=None)[0]
    return (values - surface @ fit).reshape(SIDE, SIDE)
