"""The finish of a spoken piece: levels of words, quiet pauses, silent ends, pitch, loudness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from diff_audio.sound.limiter import limiter_gain
from diff_audio.sound.loudness import SHORTEST, Loudness
from diff_audio.sound.resample import resample
from diff_audio.sound.wave import Wave
from diff_audio.text.symbols import PUNCTUATION
from diff_audio.voice.manner import PEAK_DB

__all__ = ["BEFORE", "BEHIND", "Level", "limited", "quieten", "shift_pitch", "trimmed"]

BEFORE, BEHIND = 0.05, 0.08
"""Seconds of the voice's own silence that are kept before and after what is spoken at once."""

_RAMP = 0.02  # seconds in which a level changes
_SHORTEST_PAUSE = 0.1  # seconds of a pause in a sentence that is turned down
_PAUSE_DB = -24.0  # what it is turned down by
_FLOOR_DB = -20.0  # a pause is what lies so far under the level of the piece
_MARGIN = 0.3  # dB by which the filters of two meters of true peaks differ
_FINE = 10_000


def quieten(
    wave: Wave, symbols: Sequence[str], ends: Sequence[int], gains: Sequence[float], rate: int
) -> Wave:
    """Return a wave (T,) with the `gains`, dB, of its symbols, whose pauses are turned down.

    ends: the sample at which each symbol ends. A pause is a mark of punctuation of at least 0.1 s
    that lies 20 dB under the level of the whole.
    """
    decibels = np.zeros(len(wave), np.float32)
    level = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0
    start = 0
    for place, (symbol, end) in enumerate(zip(symbols, ends, strict=True)):
        if gains and gains[place]:
            decibels[start:end] += gains[place]
        if symbol in PUNCTUATION and end - start >= _SHORTEST_PAUSE * rate:
            inside = wave[start:end].astype(np.float64)
            if len(inside) and np.sqrt(np.mean(inside**2)) < level * 10 ** (_FLOOR_DB / 20):
                decibels[start:end] += _PAUSE_DB
        start = end
    if not decibels.any():
        return wave
    width = max(3, int(_RAMP * rate))
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(decibels, (width // 2, width - 1 - width // 2), mode="edge")
    smooth = np.convolve(padded, window / window.sum(), "valid")
    return (wave * 10 ** (smooth / 20)).astype(np.float32)


def trimmed(wave: Wave, start: int, end: int, rate: int, speed: float) -> tuple[Wave, int]:
    """Return a wave (T,) whose own silence before `start` and after `end` is short and fades to
    nothing, and how many samples were taken from its front.
    """
    first = max(0, start - int(BEFORE * rate / speed))
    last = min(len(wave), end + int(BEHIND * rate / speed))
    part = wave[first:last].copy()
    for edge, flip in ((start - first, slice(None)), (last - end, slice(None, None, -1))):
        size = min(len(part), max(edge, 2))
        fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(size, dtype=np.float32) / size)
        part[flip][:size] *= fade
    return part, first


def shift_pitch(wave: Wave, factor: float) -> Wave:
    """Return a wave (T,) played `factor` times as fast: higher, and as much shorter."""
    source = round(factor * _FINE)
    if source == _FINE:
        return wave
    moved = resample(torch.from_numpy(wave)[None], source, _FINE)
    return np.ascontiguousarray(moved[0].numpy(), dtype=np.float32)


def limited(wave: Wave, rate: int) -> Wave:
    """Return a wave (T,) whose true peak is at most -1 dBTP."""
    gain = limiter_gain(wave[None].astype(np.float64), rate, 10 ** ((PEAK_DB - _MARGIN) / 20))
    return (wave * gain).astype(np.float32)


class Level:
    """A running level: what has been spoken so far decides the gain of what comes next."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._meter = Loudness(rate, 1)

    def add(self, wave: Wave) -> None:
        """Take in what was spoken, before any gain."""
        if 0 < len(wave) < SHORTEST * self._rate:
            wave = np.tile(wave, -(-int(SHORTEST * self._rate) // len(wave)) + 1)
        self._meter.add(wave[None].astype(np.float64))

    def gain(self, wanted: float) -> float:
        """Return the factor that brings all that was added to `wanted` LUFS; 1 for silence."""
        found = self._meter.of()
        return 1.0 if found is None else 10 ** ((wanted - found) / 20)
