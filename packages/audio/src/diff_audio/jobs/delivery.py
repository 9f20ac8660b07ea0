"""A denoised recording brought to the level at which it is delivered.

It waits in a nameless temporary file, as 32-bit floats, until its loudness is known. Memory does
not grow with its length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from diff_audio.sound.delivery import Delivered, Delivery
from diff_audio.sound.limiter import context, limiter_gain
from diff_audio.sound.loudness import SHORTEST, Loudness
from diff_audio.sound.read import Recording
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import cut, windows

__all__ = ["Waiting", "Way", "way_into"]

MOST_DB = 40.0
"""The largest gain, dB: what needs more holds hardly more than noise."""

_PIECE = 1 << 18  # samples of all channels that are in memory at once
_TRIES, _NEAR = 4, 0.05  # corrections for what the limiter takes away, and when they end, LU
_FAR, _DEEP = 0.5, 6.0  # LU from the goal, and dB of the limiter, that are reported


class Way:
    """The way of denoised sound into its file: straight, or by way of its level.

    write:     takes the next samples (C, n)
    delivered: the record of the level, once the file is complete; None where none was set
    """

    def __init__(self, write: Callable[[Array], None]) -> None:
        self.write = write
        self.delivered: Delivered | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a user should know of the level."""
        return self.delivered.notes if self.delivered else ()


@contextmanager
def way_into(
    write: Callable[[Array], None], found: Recording, folder: Path, delivery: Delivery
) -> Generator[Way]:
    """Give the way into the file that `write` appends to, like `found`; all has gone through when
    the block ends well. The temporary file lies in `folder`.
    """
    if not delivery.changes:
        yield Way(write)
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        waiting = Waiting(file, found.rate, found.channels, delivery)
        way = Way(waiting.append)
        yield way
        way.delivered = waiting.finish(write)


class Waiting:
    """A recording that waits for its level: `append` all of it, then `finish`.

    file: an empty temporary file
    """

    def __init__(self, file: IO[bytes], rate: int, channels: int, delivery: Delivery) -> None:
        self._file, self._rate, self._channels, self._delivery = file, rate, channels, delivery
        self._length, self._limited_db = 0, 0.0
        self._meter = Loudness(rate, channels) if delivery.measures else None

    def append(self, block: Array) -> None:
        """Take in the next samples (C, n), full scale 1."""
        kept = np.ascontiguousarray(block.T, np.float32)
        self._file.write(kept.tobytes())
        self._length += len(kept)
        if self._meter is not None:
            self._meter.add(kept.T.astype(np.float64))

    def finish(self, write: Callable[[Array], None]) -> Delivered:
        """Give the samples (C, n), at their level, to `write`, block by block."""
        notes: list[str] = []
        gains, loudness = np.zeros(self._channels), None
        if self._meter is not None:
            if self._delivery.level_speakers:
                gains = self._levelled(self._meter, notes)
            loudness = self._meter.of(_factors(gains))
            if self._delivery.loudness is not None:
                gains, loudness = self._raised(gains, loudness, self._delivery.loudness, notes)
            elif gains.any():
                loudness = self._tried(gains)
        for block in self._blocks(gains):
            write(block)
        if self._limited_db > _DEEP:
            notes.append(
                f"the limiter takes away up to {self._limited_db:.1f} dB to keep the peak; "
                "choose a lower loudness if that is heard"
            )
        rounded = tuple(round(float(gain), 2) for gain in gains)
        return Delivered(
            None if loudness is None else round(loudness, 2),
            rounded,
            round(self._limited_db, 2),
            tuple(notes),
        )

    def _levelled(self, meter: Loudness, notes: list[str]) -> Array:
        """Return the gains (C,), dB, that bring each channel to the loudness of the loudest."""
        found = [meter.of_channel(number) for number in range(self._channels)]
        measured = [level for level in found if level is not None]
        if len(found) == 1:
            notes.append("has one channel, so there are no speakers to level")
        elif 0 < len(measured) < len(found):
            silent = ", ".join(str(n + 1) for n, level in enumerate(found) if level is None)
            several = "s" * (len(found) - len(measured) > 1)
            notes.append(f"channel{several} {silent} has no loudness and is not levelled")
        return np.array(
            [0.0 if level is None else min(max(measured) - level, MOST_DB) for level in found]
        )

    def _raised(
        self, gains: Array, loudness: float | None, goal: float, notes: list[str]
    ) -> tuple[Array, float | None]:
        """Return gains (C,), dB, at which the limited recording has the loudness `goal`, and the
        loudness that it has.
        """
        if loudness is None:
            short = self._length < SHORTEST * self._rate
            why = f"lasts less than {SHORTEST:g} s" if short else "is silent, or under -70 LUFS,"
            notes.append(f"{why} and keeps its level: its loudness is not defined")
            return gains, None
        more = goal - loudness
        for number in range(_TRIES):
            more = min(more, MOST_DB)
            loudness = self._tried(gains + more)
            missing = goal - (goal if loudness is None else loudness)
            if abs(missing) < _NEAR or number == _TRIES - 1:
                break
            more += missing
        if loudness is not None and abs(goal - loudness) > _FAR:
            notes.append(
                f"has {loudness:.1f} LUFS instead of {goal:g}: more than {MOST_DB:g} dB of gain, "
                "or the limit of the peak, is in the way"
            )
        return gains + more, loudness

    def _tried(self, gains: Array) -> float | None:
        """Return the loudness of the recording with these gains, after the limiter."""
        meter = Loudness(self._rate, self._channels)
        for block in self._blocks(gains):
            meter.add(block)
        return meter.of()

    def _blocks(self, gains: Array) -> Iterator[Array]:
        """Yield the samples (C, n) with gains (C,), dB, and under the ceiling."""
        self._limited_db = 0.0
        factors = np.array(_factors(gains))[:, None]
        size, around = max(1, _PIECE // self._channels), context(self._rate)
        for piece, seen in cut(self._stored(size), windows(self._length, size, around)):
            scaled = factors * seen
            gain = limiter_gain(scaled, self._rate, self._delivery.ceiling)[piece.kept]
            self._limited_db = max(
                self._limited_db, float(-20.0 * np.log10(gain.min(initial=1.0)))
            )
            yield scaled[:, piece.kept] * gain

    def _stored(self, size: int) -> Iterator[Array]:
        self._file.seek(0)
        while data := self._file.read(4 * self._channels * size):
            yield np.frombuffer(data, np.float32).reshape(-1, self._channels).T.astype(np.float64)


def _factors(gains: Array) -> list[float]:
    return [10.0 ** (float(gain) / 20.0) for gain in gains]
