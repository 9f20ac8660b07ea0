"""A denoised piece of a recording, and the network's view of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from diff_audio.denoiser.echo import Echo
from diff_audio.denoiser.settings import Settings
from diff_audio.sound.level import Gain
from diff_audio.sound.resample import BandSplit
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import Window

__all__ = ["Heard", "Part", "Piecewise"]


@dataclass(frozen=True)
class Heard:
    """The network's view of a piece: 16 kHz waves (C, m) in the recording's units, before
    `limit_db`, `mix` and `room`.

    first:    place of their first sample in the recording at 16 kHz
    variance: variance of the posterior samples at each value; None without samples
    """

    first: int
    noisy: Tensor
    clean: Tensor
    variance: Tensor | None

    def over(self, gain: Tensor) -> Heard:
        """Return the same at the level before the factors `gain` (m,)."""
        variance = None if self.variance is None else self.variance / gain**2
        return Heard(self.first, self.noisy / gain, self.clean / gain, variance)


@dataclass(frozen=True)
class Part:
    """A denoised piece: `before` and `after` (C, stop - start); `heard` is None for silence.

    kept: share of the input that stays because of a room, mean of the piece
    """

    window: Window
    before: Array
    after: Array
    heard: Heard | None
    kept: float = 0.0


class Piecewise(Protocol):
    """A denoiser that works piece by piece: what `Stream` needs of `Denoiser`.

    follow: its network was trained on recordings whose level is followed place by place
    """

    follow: bool

    def context(self, bands: BandSplit, steps: int) -> int | None:
        """Return the samples on each side that one sample of the result depends on.

        None stands for the whole recording.
        """
        ...

    def one(
        self,
        seen: Tensor,
        piece: Window,
        bands: BandSplit,
        gain: Gain,
        settings: Settings,
        echo: Echo,
    ) -> Part:
        """Return a denoised piece, from the samples (C, high - low) that it sees, and add it to
        the echo of those before.
        """
        ...
