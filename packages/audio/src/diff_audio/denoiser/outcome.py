"""The record of one denoised file."""

from __future__ import annotations

from dataclasses import dataclass

from diff_audio.sound.delivery import Delivered

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The record of one denoised file.

    frames:   samples per channel, in and out
    seconds:  length of the recording; took: time that it needed, both in seconds
    level_db: level of the speech found, dB relative to full scale; None for silence
    clipped:  samples that full scale cut off in the output
    flat:     samples of the input that were cut off when it was recorded
    replaced: NaN and Inf samples set to zero
    noise:    file of what was taken away, if it was to be kept
    views:    estimates averaged; draft: with half-precision arithmetic; linked: one mask for all
              channels
    room:     share of the input that stays because the recording was made in a room that echoes
    notes:    what is odd about the input, and what the output does not hold of it
    delivered: its loudness, gains and limit, where a level was set
    """

    input: str
    output: str
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    seconds: float
    took: float
    level_db: float | None
    clipped: int
    flat: int
    replaced: int
    device: str
    steps: int
    samples: int
    seed: int
    noise: str | None = None
    views: int = 1
    draft: bool = False
    linked: bool = True
    room: float = 0.0
    notes: tuple[str, ...] = ()
    delivered: Delivered | None = None
