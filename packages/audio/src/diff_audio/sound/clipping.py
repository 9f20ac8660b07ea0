"""The detection of recordings that were cut off at full scale when they were made.

A peak that was cut off is flat: three or more samples in a row have the value of the recording's
highest or lowest, and that lies at full scale. Fewer than five such peaks may be chance.
"""

from __future__ import annotations

import numpy as np

from diff_audio.sound.wave import Array

__all__ = ["Clipping"]

FULL_SCALE = 0.98  # integer converters and limiters may stop a little short of 1
FLAT, FEWEST = 3, 5


class Clipping:
    """A counter of the flat peaks of a recording (C, any), block by block."""

    def __init__(self) -> None:
        self._top = FULL_SCALE
        self._samples = self._peaks = 0

    def add(self, block: Array) -> None:
        """Take in the next samples (C, n), full scale 1, finite. A run that a block cuts in two
        counts by its parts.
        """
        size = np.abs(block)
        top = float(size.max(initial=0.0))
        if top < self._top * (1.0 - 1e-4):  # the negative end reaches one step further
            return
        if top > self._top * (1.0 + 1e-4):  # what was flat before was not at the top
            self._top, self._samples, self._peaks = top, 0, 0
        for row, signed in zip(size, block, strict=True):
            # A run is broken where the top is left or the sign turns.
            at_top = row >= self._top * (1.0 - 1e-4)
            side = np.where(at_top, np.sign(signed), 0.0)
            edges = np.flatnonzero(np.diff(side, prepend=0.0, append=0.0))
            lengths = np.diff(edges)
            flat = lengths[(side[edges[:-1]] != 0.0) & (lengths >= FLAT)]
            self._samples += int(flat.sum())
            self._peaks += len(flat)

    @property
    def samples(self) -> int:
        """Return the number of samples in flat peaks; 0 if these may be chance."""
        return self._samples if self._peaks >= FEWEST else 0
