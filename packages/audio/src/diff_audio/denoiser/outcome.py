"""The record of one denoised file."""

from __future__ import annotations

from dataclasses import dataclass

from diff_audio.sound.delivery import Delivered
from diff_audio.sound.outcome import FileOutcome

__all__ = ["Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome(FileOutcome):
    """The record of one denoised file.

    level_db: level of the speech found, dB relative to full scale; None for silence
    flat:     samples of the input that were cut off when it was recorded
    replaced: NaN and Inf samples set to zero
    noise:    file of what was taken away, if it was to be kept
    views:    estimates averaged; draft: with half-precision arithmetic; linked: one mask for all
              channels
    room:     share of the input that stays because the recording was made in a room that echoes
    delivered: its loudness, gains and limit, where a level was set
    """

    format: str
    subtype: str
    level_db: float | None
    flat: int
    replaced: int
    samples: int
    noise: str | None = None
    views: int = 1
    draft: bool = False
    linked: bool = True
    room: float = 0.0
    delivered: Delivered | None = None
