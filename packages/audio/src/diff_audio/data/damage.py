"""The damage that a recording takes on its way: tone, band limit, room, clipping.

Each function is pure: a wave (T,) float32 in, one of the same length out, and what is random comes
from the generator given.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from diff_audio.sound.wave import Wave, power, unit

__all__ = [
    "clipped", "coloured", "decaying_room", "filtered",
    "low_pass", "narrow_band", "scale_to_snr", "tone",
]  # fmt: skip


def scale_to_snr(speech: Wave, noise: Wave, snr: float) -> Wave:
    """The noise scaled to `snr` dB of speech power over noise power; as it is if one is silent."""
    powers = power(speech), power(noise)
    if min(powers) <= 0:
        return noise
    return noise * np.float32(np.sqrt(powers[0] / powers[1] / 10 ** (snr / 10)))


def coloured(rng: Generator, length: int, exponent: float, rate: int = 16_000) -> Wave:
    """Return Gaussian noise (length,) of power f^-exponent, flat below 40 Hz, and mean square 1.

    exponent: 0 is white, 1 pink, 2 brown
    """
    spectrum = np.fft.rfft(rng.standard_normal(length, dtype=np.float32))
    frequency = np.fft.rfftfreq(length, 1 / rate)
    shaped = spectrum * np.maximum(frequency, 40.0) ** (-exponent / 2)
    return unit(np.fft.irfft(shaped, length).astype(np.float32))


def filtered(wave: Wave, response: Wave) -> Wave:
    """The wave with its spectrum (T // 2 + 1,) multiplied, circularly."""
    return np.fft.irfft(np.fft.rfft(wave) * response, len(wave)).astype(np.float32)


def tone(rng: Generator, length: int, decibels: float, rate: int) -> Wave:
    """A smooth random magnitude response: +-decibels at eight points a logarithm apart."""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    points = np.geomspace(60.0, rate / 2, 8)
    gains = np.interp(
        np.log(np.maximum(frequency, 60.0)), np.log(points), rng.uniform(-decibels, decibels, 8)
    )
    return (10 ** (gains / 20)).astype(np.float32)


def low_pass(length: int, cutoff: float, rate: int) -> Wave:
    """Return an eighth-order Butterworth magnitude of zero phase."""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    return (1 / np.sqrt(1 + (frequency / cutoff) ** 16)).astype(np.float32)


def narrow_band(rng: Generator, length: int, top: tuple[float, float], rate: int) -> Wave:
    """Return the magnitude of a telephone's band: from 50 to 350 Hz up to an edge in the range
    `top`, Hz, 48 dB an octave on both sides.
    """
    frequency = np.fft.rfftfreq(length, 1 / rate)
    below = (rng.uniform(50.0, 350.0) / np.maximum(frequency, 1.0)) ** 16
    return (low_pass(length, rng.uniform(*top), rate) / np.sqrt(1 + below)).astype(np.float32)


def decaying_room(rng: Generator, rate: int) -> NDArray[np.float64]:
    """A response: the direct sound and exponentially decaying noise, without reflections.

    The model of Polack, "La transmission de l'energie sonore dans les salles" (1988), with 0.15 to
    0.7 s of reverberation. It needs no library; `data.rooms` has the echoes of walls too.
    """
    decay = rng.uniform(0.15, 0.7)
    time = np.arange(round(decay * rate)) / rate
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    response *= 10 ** (rng.uniform(-12.0, 0.0) / 20) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return response


def clipped(wave: Wave, decibels: float) -> Wave:
    """The wave cut off at `decibels` under its peak."""
    limit = np.float32(np.abs(wave).max() * 10 ** (-decibels / 20))
    return np.clip(wave, -limit, limit)
