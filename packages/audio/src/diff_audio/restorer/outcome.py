"""The record of one restored file."""

from __future__ import annotations

from dataclasses import dataclass

from diff_audio.sound.outcome import FileOutcome

__all__ = ["Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome(FileOutcome):
    """The record of one restored file.

    spread: for each second, the standard deviation between the draws, dB, mean over channels,
            frames and bands; empty of one draw
    """

    draws: int
    rounds: int
    spread: tuple[float, ...] = ()
