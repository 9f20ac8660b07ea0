"""Synthetic noise: hiss, hum, whines, clicks, typing and wind.

Recorded noise rarely holds what spoils recordings most often: the hiss of a preamplifier in one
band, the hum of the mains, the whine of a coil. Each function is pure: everything random comes
from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from diff_audio.sound.wave import Wave, unit

__all__ = ["MADE", "Made", "made_noise"]

Made = Literal["hiss", "hum", "whine", "clicks", "typing", "wind"]
"""The name of a kind of made noise."""
MADE: tuple[Made, ...] = get_args(Made)
"""All kinds of made noise."""


def made_noise(rng: Generator, kind: Made, length: int, rate: int) -> Wave:
    """Return noise (length,) of a kind, mean square 1. Raises ValueError for an unknown kind."""
    if kind not in _MAKERS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(MADE)}")
    return unit(_MAKERS[kind](rng, length, rate).astype(np.float32))


def _level(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the wave with a root mean square of 1."""
    return wave / np.sqrt(np.mean(np.square(wave)))


def _shaped(rng: Generator, length: int, response: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian noise with a magnitude response (length // 2 + 1,)."""
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * response, length)


def _hiss(rng: Generator, length: int, rate: int) -> NDArray[np.float64]:
    """Steady noise of a slope of -6 to 6 dB an octave between two random edges."""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    low = np.exp(rng.uniform(np.log(20.0), np.log(0.4 * rate)))
    high = np.exp(rng.uniform(np.log(min(1.5 * low, 0.45 * rate)), np.log(rate / 2)))
    if rng.random() < 0.5:
        high = rate / 2
    steep = rng.choice((4, 8, 16))
    safe = np.maximum(frequency, 1.0)
    edges = 1 / np.sqrt((1 + (low / safe) ** steep) * (1 + (safe / (1.05 * high)) ** steep))
    return _shaped(rng, length, edges * np.maximum(safe, 40.0) ** rng.uniform(-1.0, 1.0))


def _harmonics(
    rng: Generator, length: int, rate: int, base: float, slope: float, drift: float
) -> NDArray[np.float64]:
    """A sum of harmonics of a base frequency (Hz) that drifts by a share."""
    time = np.arange(length) / rate
    wobble = drift * np.sin(2 * np.pi * rng.uniform(0.1, 3.0) * time + rng.uniform(0, 2 * np.pi))
    phase = 2 * np.pi * base * np.cumsum(1 + wobble) / rate
    turn = np.exp(1j * phase).astype(np.complex64)
    power, wave = np.ones_like(turn), np.zeros(length, np.complex64)
    for number in range(1, int(min(60, 0.45 * rate / base)) + 1):
        power *= turn
        strength = number**-slope * 10 ** (rng.uniform(-12.0, 0.0) / 20)
        wave += np.complex64(strength * np.exp(1j * rng.uniform(0, 2 * np.pi))) * power
    return wave.imag.astype(np.float64)


def _hum(rng: Generator, length: int, rate: int) -> NDArray[np.float64]:
    """The mains at 50 or 60 Hz with harmonics, or an engine at 20 to 200 Hz."""
    if rng.random() < 0.7:
        return _harmonics(rng, length, rate, rng.choice((50.0, 60.0)), rng.uniform(0.0, 2.0), 5e-4)
    engine = _harmonics(rng, length, rate, rng.uniform(20.0, 200.0), rng.uniform(0.3, 1.5), 0.02)
    return _level(engine) + rng.uniform(0.1, 1.0) * _level(_hiss(rng, length, rate))


def _whine(rng: Generator, length: int, rate: int) -> NDArray[np.float64]:
    """One to four tones from 300 Hz to the end of the band, which may drift."""
    time = np.arange(length) / rate
    wave = np.zeros(length)
    for _tone in range(int(rng.integers(1, 5))):
        base = np.exp(rng.uniform(np.log(300.0), np.log(0.49 * rate)))
        glide = rng.uniform(-0.05, 0.05) if rng.random() < 0.3 else rng.uniform(-1e-3, 1e-3)
        phase = 2 * np.pi * base * (time + 0.5 * glide * time**2)
        beat = 1 + rng.uniform(0.0, 0.8) * np.sin(2 * np.pi * rng.uniform(0.2, 20.0) * time)
        wave += 10 ** (rng.uniform(-20.0, 0.0) / 20) * beat * np.sin(phase + rng.uniform(0, 6.28))
    return wave


def _bursts(
    rng: Generator, length: int, rate: int, starts: NDArray[np.int64], decay: float
) -> NDArray[np.float64]:
    """Bursts of noise that decay in about `decay` s, with random tones and levels."""
    wave = np.zeros(length)
    size = max(8, round(5 * decay * rate))
    time = np.arange(size) / rate
    for start in starts:
        own = decay * np.exp(rng.uniform(-0.7, 0.7))
        burst = rng.standard_normal(size) * np.exp(-time / own)
        centre = np.exp(rng.uniform(np.log(400.0), np.log(0.45 * rate)))
        ring = np.sin(2 * np.pi * centre * time) * np.exp(-time / (2 * own))
        burst = burst + rng.uniform(0.0, 2.0) * ring
        stop = min(length, start + size)
        wave[start:stop] += 10 ** (rng.uniform(-18.0, 0.0) / 20) * burst[: stop - start]
    return wave


def _clicks(rng: Generator, length: int, rate: int) -> NDArray[np.float64]:
    """Clicks and crackle: 2 to 200 impulses a second."""
    count = 1 + rng.poisson(np.exp(rng.uniform(np.log(2.0), np.log(200.0))) * length / rate)
    starts = rng.integers(0, length, count)
    return _bursts(rng, length, rate, starts, np.exp(rng.uniform(np.log(1e-4), np.log(2e-3))))


def _typing(rng: Generator, length: int, rate: int) -> NDArray[np.float64]:
    """Keys that are pressed and released, in runs."""
    starts: list[int] = []
    moment = rng.uniform(0.0, min(0.3, 0.5 * length / rate))
    while moment * rate < length:
        starts += [round(moment * rate), round((moment + rng.uniform(0.05, 0.12)) * rate)]
        moment += rng.uniform(0.3, 1.5) if rng.random() < 0.1 else rng.uniform(0.08, 0.3)
    kept = np.array([start for start in starts if start < length], np.int64)
    return _bursts(rng, length, rate, kept, rng.uniform(0.002, 0.01))


def _wind(rng: Generator, length: int, rate: int) -> NDArray[np.float64]:
    """Gusts of noise below some hundred Hz, with a rustle above them."""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    corner = np.exp(rng.uniform(np.log(60.0), np.log(600.0)))
    body = _shaped(rng, length, (1 + (frequency / corner) ** 2) ** -rng.uniform(0.7, 1.5))
    slow = _shaped(rng, length, np.exp(-((frequency / rng.uniform(0.5, 4.0)) ** 2)))
    slow -= slow.mean()  # of a short piece nothing is left
    gusts = np.exp(rng.uniform(0.5, 1.5) * slow / max(float(slow.std()), 1e-3))
    wave = _level(body) * gusts
    if rng.random() < 0.3:  # the membrane reaches its stop
        limit = np.quantile(np.abs(wave), rng.uniform(0.9, 0.999))
        wave = np.clip(wave, -limit, limit)
    return wave


_MAKERS: dict[str, Callable[[Generator, int, int], NDArray[np.float64]]] = {
    "hiss": _hiss, "hum": _hum, "whine": _whine,
    "clicks": _clicks, "typing": _typing, "wind": _wind,
}  # fmt: skip
