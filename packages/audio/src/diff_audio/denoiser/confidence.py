"""The trust that a denoised recording deserves, second by second, without the clean one.

Two things are known of a second: how much was taken away, and, if posterior samples were drawn,
how far they lie apart. Each gives a ratio of powers, of what was kept to what was removed or to
the variance of the samples, in dB. The signal-to-error ratio to expect is a straight line in it,
fitted on mixtures whose clean speech is known (`benchmarks/audio/confidence.py`, which also scores
it on others). Samples are the better guide, above all in babble; beside them, what was removed
adds nothing.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import numpy as np

from diff_audio.denoiser.part import Part
from diff_audio.sound.resample import CORE_RATE
from diff_audio.sound.wave import Array
from diff_core.files import write_json

__all__ = [
    "DEFINITION",
    "DOUBTFUL_DB",
    "FRAME",
    "PAUSE_DB",
    "Second",
    "Tracks",
    "expected_sdr",
    "seconds",
    "write",
]

FRAME = CORE_RATE // 10
"""Samples at 16 kHz in a frame of `Tracks`: 100 ms."""

DOUBTFUL_DB = 5.0
"""A second whose expected signal-to-error ratio lies below is marked."""

PAUSE_DB = 30.0
"""A second this far under the loudest one holds no speech to doubt."""

WORST_DB, BEST_DB = -20.0, 40.0  # ratios are held within, so that no silence is infinite

# Intercept and slope: over what was kept / removed, and over what was kept / variance, both dB.
BY_REMOVED, BY_SPREAD = (9.8, 0.53), (-1.9, 0.72)

DEFINITION = (
    "sdr_db: expected ratio of speech to error under 8 kHz, dB, forecast from spread_db or, "
    "without samples, removed_db by a straight line fitted on other recordings: not a measurement "
    f"of this one. doubtful: sdr_db under {DOUBTFUL_DB:g}. null: no speech"
)
"""The meaning of the numbers, as files and pages print it."""


class Tracks:
    """The mean powers of every 100 ms of a recording, gathered from its pieces: (N,) each, up to 8
    kHz, all channels together, 0 in silence.

    before:  the input
    kept:    the estimate of the speech
    removed: their difference
    spread:  variance of the posterior samples; `sampled` is true if there were any
    """

    def __init__(self) -> None:
        self._sums = np.zeros((4, 0))
        self._counts = np.zeros(0)
        self.sampled = False

    def add(self, part: Part) -> None:
        """Take in a piece of the recording."""
        if part.heard is None:
            return
        heard = part.heard
        rows = [heard.noisy**2, heard.clean**2, (heard.noisy - heard.clean) ** 2]
        if heard.variance is not None:
            rows.append(heard.variance)
            self.sampled = True
        frames = (heard.first + np.arange(heard.noisy.shape[-1])) // FRAME
        if not len(frames):
            return
        missing = max(0, int(frames[-1]) + 1 - len(self._counts))
        self._sums = np.pad(self._sums, ((0, 0), (0, missing)))
        self._counts = np.pad(self._counts, (0, missing))
        first = int(frames[0])
        counts = np.bincount(frames - first)
        self._counts[first : first + len(counts)] += counts
        for row, power in enumerate(rows):
            sums = np.bincount(frames - first, power.mean(0).numpy())
            self._sums[row, first : first + len(sums)] += sums

    @property
    def before(self) -> Array:
        return self._mean(0)

    @property
    def kept(self) -> Array:
        return self._mean(1)

    @property
    def removed(self) -> Array:
        return self._mean(2)

    @property
    def spread(self) -> Array:
        return self._mean(3)

    def _mean(self, row: int) -> Array:
        return self._sums[row] / np.maximum(self._counts, 1.0)

    def after(self, dry: float) -> Array:
        """Return the power of the output in which the share `dry` of the input stays."""
        wet = 1.0 - dry
        cross = (self.before + self.removed - self.kept) / 2.0  # <input, removed>
        return np.maximum(self.before - 2.0 * wet * cross + wet**2 * self.removed, 0.0)


@dataclass(frozen=True)
class Second:
    """One second of a recording, under 8 kHz.

    start:      s from the beginning
    level_db:   of the estimate, dB relative to full scale; None for digital silence
    removed_db: what was kept over what was removed, dB
    spread_db:  what was kept over the variance of the posterior samples, dB; None without samples
    sdr_db:     expected ratio of speech to error, dB; None where there is no speech
    doubtful:   sdr_db lies under `DOUBTFUL_DB`: its sound may be wrong, or invented
    """

    start: int
    level_db: float | None
    removed_db: float | None
    spread_db: float | None
    sdr_db: float | None
    doubtful: bool


def expected_sdr(removed_db: float, spread_db: float | None = None) -> float:
    """Return the expected signal-to-error ratio, dB, from the ratios of `Second`, dB; from
    `spread_db` if it is known.
    """
    if spread_db is None:
        return BY_REMOVED[0] + BY_REMOVED[1] * removed_db
    return BY_SPREAD[0] + BY_SPREAD[1] * spread_db


def seconds(tracks: Tracks) -> list[Second]:
    """Return every second of a recording; the last one may be shorter."""
    kept, removed, spread = (
        _by_second(values) for values in (tracks.kept, tracks.removed, tracks.spread)
    )
    speech = float(kept.max(initial=0.0)) * 10.0 ** (-PAUSE_DB / 10.0)
    found: list[Second] = []
    for start in range(len(kept)):
        if kept[start] == 0.0:
            found.append(Second(start, None, None, None, None, doubtful=False))
            continue
        removed_db = _ratio(kept[start], removed[start])
        spread_db = _ratio(kept[start], spread[start]) if tracks.sampled else None
        sdr = round(expected_sdr(removed_db, spread_db), 2) if kept[start] >= speech else None
        found.append(
            Second(
                start,
                round(10.0 * float(np.log10(kept[start])), 2),
                removed_db,
                spread_db,
                sdr,
                doubtful=sdr is not None and sdr < DOUBTFUL_DB,
            )
        )
    return found


def _by_second(values: Array) -> Array:
    frames = CORE_RATE // FRAME
    whole = np.pad(values, (0, -len(values) % frames)).reshape(-1, frames)
    counts = np.minimum(frames, len(values) - frames * np.arange(len(whole)))
    return whole.sum(axis=1) / counts


def _ratio(power: float, other: float) -> float:
    decibels = 10.0 * np.log10(power / other) if other > 0 else BEST_DB
    return round(float(np.clip(decibels, WORST_DB, BEST_DB)), 2)


def write(path: str | os.PathLike[str], found: list[Second], **facts: object) -> None:
    """Write `found` as JSON, with `facts` of the recording before it."""
    seconds = [asdict(second) for second in found]
    write_json(path, {**facts, "definition": DEFINITION, "seconds": seconds})
