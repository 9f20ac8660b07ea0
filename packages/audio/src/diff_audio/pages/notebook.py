"""A recording before and after, shown in a notebook: players and spectrograms.

from diff_audio.pages.notebook import Compared
Compared(wave, clean, rate)          # the last line of a cell
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from diff_audio.pages.embed import pictures, players, spectrograms
from diff_audio.sound.wave import Array

__all__ = ["Compared"]

_ROW = (
    '<tr><th style="text-align:left">{name}</th><td><audio controls preload="metadata" '
    'src="{sound}"></audio></td><td><img src="{picture}" alt="Spectrogram, {name}" '
    'style="width:28rem;height:6rem"></td></tr>'
)


class Compared:
    """A recording and its result, which show themselves in Jupyter with the removed part.

    before, after: (T,) or (C, T), full scale 1, of one shape
    rate:          Hz
    Raises ValueError for waves of two shapes, or of another kind.
    """

    def __init__(self, before: ArrayLike, after: ArrayLike, rate: int) -> None:
        waves = [np.atleast_2d(np.asarray(wave, np.float64)) for wave in (before, after)]
        if waves[0].shape != waves[1].shape or waves[0].ndim != 2 or not waves[0].size:
            raise ValueError(
                f"before and after must be (T,) or (C, T) of one shape, got "
                f"{np.shape(before)} and {np.shape(after)}"
            )
        self._waves: Sequence[Array] = waves
        self.rate = rate

    def _repr_html_(self) -> str:
        """Return the HTML of a table with a player and a spectrogram in each row."""
        before, after = self._waves
        waves = {"before": before, "after": after, "removed": before - after}
        sounds = players(waves, self.rate)["sounds"]
        drawn = pictures(spectrograms(waves, self.rate))
        rows = (_ROW.format(name=n, sound=sounds[n], picture=drawn[n]) for n in waves)
        return f"<table>{''.join(rows)}</table>"
